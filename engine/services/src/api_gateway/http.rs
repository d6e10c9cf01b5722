//! HTTP/1.1 over the runtime's sockets: our own accept loop, so that it is the same in every world. No timers, no date header.

use super::Gateway;
use super::error::ApiError;
use super::parameters::{BODY_BYTES_MAX, Parameters};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use runtime::net::Listener;
use runtime::task::{JoinHandle, Stop, spawn};
use runtime::time::sleep;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Pause after a connection that could not be accepted.
const ACCEPT_RETRY_MS: u64 = 20;

/// Accepts connections until asked to stop; then drops them all. What was not answered by then is unknown to its client.
pub(super) async fn serve(mut listener: Listener, gateway: Arc<Gateway>, mut stop: Stop) {
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let accepted = runtime::select! {
            () = stop.requested() => break,
            accepted = listener.accept() => accepted,
        };
        connections.retain(|connection| !connection.is_finished());
        match accepted {
            Ok((stream, _peer)) => {
                let gateway = Arc::clone(&gateway);
                let service = service_fn(move |request| {
                    let gateway = Arc::clone(&gateway);
                    async move { Ok::<_, Infallible>(answer(&gateway, request).await) }
                });
                connections.push(spawn(async move {
                    // A client that breaks off or does not speak HTTP ends its own connection only.
                    let _ = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service).await;
                }));
            }
            // A peer that was gone before it was accepted, or no descriptor left: neither lasts.
            Err(_) => sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await,
        }
    }
    for connection in connections {
        connection.abort();
    }
}

/// A body that is too long, or that its client did not send to the end.
fn of_body(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ApiError {
    if error.is::<LengthLimitError>() { ApiError::body_too_long(BODY_BYTES_MAX) } else { ApiError::illegal("body", "as many bytes as were announced") }
}

async fn answer(gateway: &Gateway, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let answered = route(gateway, request).await;
    let (status, body) = match &answered {
        Ok(body) => (StatusCode::OK, body.clone()),
        Err(error) => (error.status, error.json()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn route(gateway: &Gateway, request: Request<Incoming>) -> Result<Vec<u8>, ApiError> {
    let (head, body) = request.into_parts();
    match (head.uri.path(), &head.method) {
        ("/api/v3/ping", &Method::GET) => return Ok(b"{}".to_vec()),
        ("/health", &Method::GET) => return gateway.health(),
        ("/api/v3/order", &(Method::POST | Method::DELETE | Method::GET)) | ("/api/v3/account", &Method::GET) => {}
        ("/api/v3/ping" | "/health" | "/api/v3/order" | "/api/v3/account", _) => return Err(ApiError::no_such_route(StatusCode::METHOD_NOT_ALLOWED)),
        _ => return Err(ApiError::no_such_route(StatusCode::NOT_FOUND)),
    }
    let api_key = head.headers.get("x-mbx-apikey").and_then(|value| value.to_str().ok());
    let account = super::request::account(api_key)?;
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| of_body(&*error))?.to_bytes();
    let form = std::str::from_utf8(&body).map_err(|_| ApiError::illegal("body", "percent-encoded UTF-8"))?;
    let parameters = Parameters::parse(head.uri.query().unwrap_or(""), form)?;
    match (head.uri.path(), head.method) {
        ("/api/v3/account", _) => gateway.account(account).await,
        (_, Method::POST) => gateway.place(account, &parameters).await,
        (_, Method::DELETE) => gateway.cancel(account, &parameters).await,
        _ => gateway.query(account, &parameters).await,
    }
}
