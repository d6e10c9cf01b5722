//! What a request is refused with: Binance's codes and words.

use crate::decimal::DecimalError;
use hyper::StatusCode;
use wire::RefusalReason;

/// A refusal: `{"code": …, "msg": …}` and an HTTP status. 5xx other than [`ApiError::not_done`] means that the status is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// Binance's code.
    pub code: i32,
    /// Binance's words.
    pub msg: String,
}

/// Code of an answer that did not come in time: the request may have been done, or may still be.
pub const STATUS_UNKNOWN: i32 = -1007;

/// Code of a request that was not done and will not be: it may be sent again.
pub const NOT_DONE: i32 = -1001;

/// Code of a request that came while too many others waited: it was not done.
pub const TOO_MANY_REQUESTS: i32 = -1003;

impl ApiError {
    fn bad_request(code: i32, msg: impl Into<String>) -> Self {
        ApiError { status: StatusCode::BAD_REQUEST, code, msg: msg.into() }
    }

    /// -1102.
    pub fn missing(parameter: &str) -> Self {
        Self::bad_request(-1102, format!("Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed."))
    }

    /// -1100.
    pub fn illegal(parameter: &str, legal_range: &str) -> Self {
        Self::bad_request(-1100, format!("Illegal characters found in parameter '{parameter}'; legal range is '{legal_range}'."))
    }

    /// -1106.
    pub fn not_required(parameter: &str) -> Self {
        Self::bad_request(-1106, format!("Parameter '{parameter}' sent when not required."))
    }

    /// -1101.
    pub fn duplicate_parameter() -> Self {
        Self::bad_request(-1101, "Duplicate values for a parameter detected.")
    }

    /// -1101.
    pub fn body_too_long(bytes_max: usize) -> Self {
        let msg = format!("Too many parameters sent for this endpoint: the body may have {bytes_max} bytes.");
        ApiError { status: StatusCode::PAYLOAD_TOO_LARGE, code: -1101, msg }
    }

    /// -1121.
    pub fn invalid_symbol() -> Self {
        Self::bad_request(-1121, "Invalid symbol.")
    }

    /// -1117.
    pub fn invalid_side() -> Self {
        Self::bad_request(-1117, "Invalid side.")
    }

    /// -1116.
    pub fn invalid_order_type() -> Self {
        Self::bad_request(-1116, "Invalid orderType.")
    }

    /// -1115.
    pub fn invalid_time_in_force() -> Self {
        Self::bad_request(-1115, "Invalid timeInForce.")
    }

    /// -2014: until requests are signed, the key is the account's number.
    pub fn bad_api_key() -> Self {
        ApiError { status: StatusCode::UNAUTHORIZED, code: -2014, msg: "API-key format invalid.".into() }
    }

    /// -1020.
    pub fn no_such_route(status: StatusCode) -> Self {
        ApiError { status, code: -1020, msg: "This operation is not supported.".into() }
    }

    /// -1003.
    pub fn too_many_requests() -> Self {
        ApiError { status: StatusCode::TOO_MANY_REQUESTS, code: TOO_MANY_REQUESTS, msg: "Too many requests; the request was not sent.".into() }
    }

    /// -1001.
    pub fn not_done() -> Self {
        ApiError { status: StatusCode::SERVICE_UNAVAILABLE, code: NOT_DONE, msg: "Internal error; unable to process your request. Please try again.".into() }
    }

    /// -1007.
    pub fn unknown() -> Self {
        let msg = "Timeout waiting for response from backend server. Send status unknown; execution status unknown.";
        ApiError { status: StatusCode::GATEWAY_TIMEOUT, code: STATUS_UNKNOWN, msg: msg.into() }
    }

    /// -1000: an answer that does not fit its request.
    pub fn internal() -> Self {
        ApiError { status: StatusCode::INTERNAL_SERVER_ERROR, code: -1000, msg: "An unknown error occurred while processing the request.".into() }
    }

    /// A decimal text of a parameter that is none, or breaks a filter.
    pub fn of_decimal(parameter: &str, error: DecimalError) -> Self {
        match error {
            DecimalError::Malformed => Self::illegal(parameter, crate::decimal::PATTERN),
            DecimalError::PriceFilter | DecimalError::LotSize => Self::bad_request(-1013, error.to_string()),
        }
    }

    /// What the account machine says. `unknown_order`: -2011 for a cancel, -2013 for a query.
    pub fn of_refusal(reason: RefusalReason, unknown_order: UnknownOrder) -> Self {
        match (reason, unknown_order) {
            (RefusalReason::InsufficientBalance, _) => Self::bad_request(-2010, "Account has insufficient balance for requested action."),
            (RefusalReason::UnknownSymbol, _) => Self::invalid_symbol(),
            (RefusalReason::PriceOutOfRange, _) => Self::bad_request(-1013, "Filter failure: PRICE_FILTER"),
            (RefusalReason::QuantityOutOfRange, _) => Self::bad_request(-1013, "Filter failure: LOT_SIZE"),
            (RefusalReason::Overflow, _) => Self::bad_request(-1013, "Filter failure: NOTIONAL"),
            (RefusalReason::TooOld, _) => Self::bad_request(-1021, "Timestamp for this request is outside of the recvWindow."),
            (RefusalReason::UnknownOrder, UnknownOrder::ToCancel) => Self::bad_request(-2011, "Unknown order sent."),
            (RefusalReason::UnknownOrder, UnknownOrder::ToQuery) => Self::bad_request(-2013, "Order does not exist."),
            (RefusalReason::AmountOutOfRange, _) => Self::internal(),
        }
    }

    /// The body.
    pub fn json(&self) -> Vec<u8> {
        serde_json::json!({ "code": self.code, "msg": self.msg }).to_string().into_bytes()
    }
}

/// For what an order was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownOrder {
    /// -2011
    ToCancel,
    /// -2013
    ToQuery,
}
