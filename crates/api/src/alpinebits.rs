//! Where a hotel's own system sends rooms and rates (AlpineBits HotelData, section 2).
//!
//! The client shows a key of a group that holds [`Role::Supplier`](crate::Role), as
//! `Bearer` or, as AlpineBits has it, as the password of `Basic` with the key's name.

use std::time::Duration;

use axum::{
    Extension,
    body::Bytes,
    extract::{
        Multipart, State as Extract,
        multipart::{MultipartError, MultipartRejection},
    },
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};

use crate::{State, role::Holder};

/// Largest body: a document of 16 MiB and its wrapping.
pub(crate) const MAX_BODY_BYTES: usize = (16 << 20) + (64 << 10);
/// Longest time in which a body has to arrive.
const DEADLINE: Duration = Duration::from_secs(60);
const VERSION: &str = "x-alpinebits-clientprotocolversion";

/// A request of a hotel's system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Name of the key that was shown; `None` is the owner of the node.
    pub sender: Option<String>,
    /// Version of the protocol.
    pub version: Option<String>,
    /// What is asked for.
    pub action: Option<String>,
    /// The document.
    pub document: Bytes,
}

/// What is sent back to a hotel's system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// A document, which says whether the message was taken.
    Document(String),
    /// The request is wrong: one line.
    Wrong(String),
    /// It cannot be taken now.
    Later,
}

pub(crate) async fn receive(
    Extract(state): Extract<State>,
    Extension(holder): Extension<Holder>,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Response {
    let Ok(form) = form else {
        return line(
            StatusCode::BAD_REQUEST,
            "ERROR:the request is not multipart/form-data",
        );
    };
    let mut delivery = match tokio::time::timeout(DEADLINE, read(form)).await {
        Ok(Ok(delivery)) => delivery,
        Ok(Err(error)) => return line(error.status(), "ERROR:the form cannot be read"),
        Err(_) => {
            return line(
                StatusCode::REQUEST_TIMEOUT,
                "ERROR:the request took too long",
            );
        }
    };
    delivery.sender = match holder {
        Holder::Supplier { name } => Some(name),
        Holder::Operator | Holder::Upstream { .. } | Holder::Signer => None,
    };
    let version = headers.get(VERSION).and_then(|value| value.to_str().ok());
    delivery.version = version.map(str::to_owned);
    match state.node.receive(delivery).await {
        Receipt::Document(xml) => {
            let kind = [(header::CONTENT_TYPE, "text/xml; charset=utf-8")];
            (kind, xml).into_response()
        }
        Receipt::Wrong(text) => line(StatusCode::BAD_REQUEST, &text),
        Receipt::Later => line(
            StatusCode::SERVICE_UNAVAILABLE,
            "ERROR:the inventory does not answer now; send the message again later",
        ),
    }
}

async fn read(mut form: Multipart) -> Result<Delivery, MultipartError> {
    let mut delivery = Delivery::default();
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("action") => delivery.action = Some(field.text().await?),
            Some("request") => delivery.document = field.bytes().await?,
            _ => {}
        }
    }
    Ok(delivery)
}

fn line(status: StatusCode, text: &str) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, kind, text.to_owned()).into_response()
}
