//! Requests to commands: everything that can be checked without asking anybody is checked here.

use super::error::ApiError;
use super::parameters::Parameters;
use crate::decimal::{price_to_ticks, quantity_to_lots};
use std::collections::BTreeMap;
use wire::{AccountCommand, AccountId, ClientOrderId, OrderType, Side, Symbol, SymbolSpec, TimeInForce};

/// Symbols by name.
pub type Symbols = BTreeMap<Symbol, SymbolSpec>;

/// What changes an order's meaning and is not offered: ignoring it would do something else than what was asked for.
const NOT_OFFERED: [&str; 4] = ["icebergQty", "quoteOrderQty", "stopPrice", "trailingDelta"];

/// The account of a request: its number, in decimal, stands where the API key will.
pub fn account(api_key: Option<&str>) -> Result<AccountId, ApiError> {
    let digits = api_key.filter(|key| key.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|key| key.parse().ok()).map(AccountId).ok_or_else(ApiError::bad_api_key)
}

/// `POST /api/v3/order`. Without a client order id `generated` is taken.
pub fn place(account: AccountId, parameters: &Parameters, symbols: &Symbols, generated: String, stamp_ms: u64) -> Result<AccountCommand, ApiError> {
    let spec = symbol(parameters, symbols)?;
    let side = match parameters.mandatory("side")? {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        _ => return Err(ApiError::invalid_side()),
    };
    let order_type = match parameters.mandatory("type")? {
        "LIMIT" => OrderType::Limit,
        "MARKET" => OrderType::Market,
        "LIMIT_MAKER" => OrderType::LimitMaker,
        _ => return Err(ApiError::invalid_order_type()),
    };
    if let Some(name) = NOT_OFFERED.into_iter().find(|name| parameters.get(name).is_some()) {
        return Err(ApiError::not_required(name));
    }
    let time_in_force = time_in_force(parameters, order_type)?;
    let quantity = parameters.mandatory("quantity")?;
    let quantity_lots = quantity_to_lots(spec, quantity).map_err(|error| ApiError::of_decimal("quantity", error))?;
    let price_ticks = price(parameters, spec, order_type)?;
    let client_order_id = match parameters.get("newClientOrderId") {
        Some(text) => client_order_id("newClientOrderId", text)?,
        None => ClientOrderId(generated),
    };
    parameters.check_millis("timestamp")?;
    parameters.check_millis("recvWindow")?;
    Ok(AccountCommand::Place { account, client_order_id, symbol: spec.symbol, side, order_type, time_in_force, price_ticks, quantity_lots, stamp_ms })
}

/// `DELETE /api/v3/order`.
pub fn cancel(account: AccountId, parameters: &Parameters, symbols: &Symbols) -> Result<AccountCommand, ApiError> {
    let (symbol, client_order_id) = named_order(parameters, symbols)?;
    Ok(AccountCommand::Cancel { account, client_order_id, symbol })
}

/// `GET /api/v3/order`.
pub fn query(account: AccountId, parameters: &Parameters, symbols: &Symbols) -> Result<AccountCommand, ApiError> {
    let (symbol, client_order_id) = named_order(parameters, symbols)?;
    Ok(AccountCommand::QueryOrder { account, client_order_id, symbol })
}

/// An order is named by its client order id; by its number alone it cannot be found yet.
fn named_order(parameters: &Parameters, symbols: &Symbols) -> Result<(Symbol, ClientOrderId), ApiError> {
    let spec = symbol(parameters, symbols)?;
    let client_order_id = client_order_id("origClientOrderId", parameters.mandatory("origClientOrderId")?)?;
    parameters.check_millis("timestamp")?;
    parameters.check_millis("recvWindow")?;
    Ok((spec.symbol, client_order_id))
}

fn symbol<'s>(parameters: &Parameters, symbols: &'s Symbols) -> Result<&'s SymbolSpec, ApiError> {
    let symbol = Symbol::parse(parameters.mandatory("symbol")?).map_err(|_| ApiError::invalid_symbol())?;
    symbols.get(&symbol).ok_or_else(ApiError::invalid_symbol)
}

fn time_in_force(parameters: &Parameters, order_type: OrderType) -> Result<TimeInForce, ApiError> {
    match (order_type, parameters.get("timeInForce")) {
        (OrderType::Market, None) => Ok(TimeInForce::Ioc),
        (OrderType::LimitMaker, None) => Ok(TimeInForce::Gtc),
        (OrderType::Market | OrderType::LimitMaker, Some(_)) => Err(ApiError::not_required("timeInForce")),
        (OrderType::Limit, Some("GTC")) => Ok(TimeInForce::Gtc),
        (OrderType::Limit, Some("IOC")) => Ok(TimeInForce::Ioc),
        (OrderType::Limit, Some("FOK")) => Ok(TimeInForce::Fok),
        (OrderType::Limit, Some(_)) => Err(ApiError::invalid_time_in_force()),
        (OrderType::Limit, None) => Err(ApiError::missing("timeInForce")),
    }
}

/// Ticks; 0 for a market order.
fn price(parameters: &Parameters, spec: &SymbolSpec, order_type: OrderType) -> Result<i64, ApiError> {
    match (order_type, parameters.get("price")) {
        (OrderType::Market, None) => Ok(0),
        (OrderType::Market, Some(_)) => Err(ApiError::not_required("price")),
        (OrderType::Limit | OrderType::LimitMaker, None) => Err(ApiError::missing("price")),
        (OrderType::Limit | OrderType::LimitMaker, Some(text)) => price_to_ticks(spec, text).map_err(|error| ApiError::of_decimal("price", error)),
    }
}

fn client_order_id(name: &str, text: &str) -> Result<ClientOrderId, ApiError> {
    ClientOrderId::parse(text).map_err(|_| ApiError::illegal(name, "^[a-zA-Z0-9-_]{1,36}$"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::btcusd;

    fn symbols() -> Symbols {
        BTreeMap::from([(btcusd().symbol, btcusd())])
    }

    fn placed(query: &str) -> Result<AccountCommand, ApiError> {
        place(AccountId(7), &Parameters::parse(query, "")?, &symbols(), "generated".into(), 99)
    }

    const LIMIT: &str = "symbol=BTCUSD&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1.5&price=100.50";

    #[test]
    fn an_order_becomes_integers() {
        let expected = AccountCommand::Place {
            account: AccountId(7),
            client_order_id: ClientOrderId("generated".into()),
            symbol: btcusd().symbol,
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price_ticks: 10_050,
            quantity_lots: 1_500,
            stamp_ms: 99,
        };
        assert_eq!(placed(LIMIT), Ok(expected.clone()));
        assert_eq!(placed(&LIMIT.replace("BTCUSD", "btcusd")), Ok(expected), "symbols are upper-cased");
        let named = placed(&format!("{LIMIT}&newClientOrderId=my-1_A&timestamp=1700000000000&recvWindow=5000&newOrderRespType=FULL"));
        assert!(matches!(named, Ok(AccountCommand::Place { client_order_id, .. }) if client_order_id.0 == "my-1_A"));
        let market = placed("symbol=BTCUSD&side=SELL&type=MARKET&quantity=1");
        assert!(matches!(market, Ok(AccountCommand::Place { price_ticks: 0, time_in_force: TimeInForce::Ioc, order_type: OrderType::Market, .. })));
        let maker = placed("symbol=BTCUSD&side=SELL&type=LIMIT_MAKER&quantity=1&price=1");
        assert!(matches!(maker, Ok(AccountCommand::Place { price_ticks: 100, time_in_force: TimeInForce::Gtc, order_type: OrderType::LimitMaker, .. })));
    }

    #[test]
    fn every_bad_field_is_named() {
        let without = |name: &str| LIMIT.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect::<Vec<_>>().join("&");
        for name in ["symbol", "side", "type", "timeInForce", "quantity", "price"] {
            let error = placed(&without(name)).expect_err(name);
            assert_eq!((error.code, error.msg.contains(&format!("'{name}'"))), (-1102, true), "{error:?}");
        }
        let table = [
            ("BTCUSD", "BTC/USD", -1121, "Invalid symbol."),
            ("BTCUSD", "ETHUSD", -1121, "Invalid symbol."),
            ("BUY", "buy", -1117, "Invalid side."),
            ("LIMIT", "STOP", -1116, "Invalid orderType."),
            ("GTC", "GTD", -1115, "Invalid timeInForce."),
            ("100.50", "100.505", -1013, "Filter failure: PRICE_FILTER"),
            ("100.50", "0", -1013, "Filter failure: PRICE_FILTER"),
            ("quantity=1.5", "quantity=0", -1013, "Filter failure: LOT_SIZE"),
            ("quantity=1.5", "quantity=99999999999", -1013, "Filter failure: LOT_SIZE"),
            ("quantity=1.5", "quantity=-1", -1100, r"Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'."),
            ("100.50", "1e5", -1100, r"Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'."),
            ("100.50", "1&stopPrice=1", -1106, "Parameter 'stopPrice' sent when not required."),
            ("100.50", "1&timestamp=now", -1100, "Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,16}$'."),
            ("100.50", "1&newClientOrderId=a%40b", -1100, "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'."),
        ];
        for (from, to, code, msg) in table {
            let error = placed(&LIMIT.replace(from, to)).expect_err(to);
            assert_eq!((error.code, error.msg.as_str()), (code, msg), "{to}");
        }
        let market = "symbol=BTCUSD&side=SELL&type=MARKET&quantity=1";
        for extra in ["price=1", "timeInForce=GTC"] {
            assert_eq!(placed(&format!("{market}&{extra}")).expect_err(extra).code, -1106, "{extra}");
        }
    }

    #[test]
    fn an_order_is_named_by_its_client_order_id() {
        let parameters = |query| Parameters::parse(query, "").expect("well-formed");
        let named = parameters("symbol=BTCUSD&origClientOrderId=a");
        let (account, client_order_id, symbol) = (AccountId(7), ClientOrderId("a".into()), btcusd().symbol);
        assert_eq!(cancel(account, &named, &symbols()), Ok(AccountCommand::Cancel { account, client_order_id: client_order_id.clone(), symbol }));
        assert_eq!(query(account, &named, &symbols()), Ok(AccountCommand::QueryOrder { account, client_order_id, symbol }));
        assert_eq!(query(account, &parameters("symbol=BTCUSD&orderId=28"), &symbols()).expect_err("no name").code, -1102);
    }

    #[test]
    fn the_key_is_the_account() {
        assert_eq!(account(Some("42")), Ok(AccountId(42)));
        for key in [None, Some(""), Some("x"), Some("-1"), Some("+1"), Some("18446744073709551616")] {
            assert_eq!(account(key), Err(ApiError::bad_api_key()), "{key:?}");
        }
    }
}
