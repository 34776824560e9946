//! The answers to the messages of one batch (revision 2025-03-26) as one.

use airside_mcp::{Body, MAX_MESSAGE, body::json_response};
use http::{Response, StatusCode};

use super::answer;

/// Joins answers into one JSON array. Only what answers a request is in it:
/// notifications of an event stream have no place in an array and are left out.
pub async fn join(answers: Vec<Response<Body>>) -> Response<Body> {
    let mut joined = String::from("[");
    for response in answers {
        let message = answer::message(response, MAX_MESSAGE).await;
        if let Some(message) = message.filter(|text| answer::is_answer(text)) {
            if joined.len() > 1 {
                joined.push(',');
            }
            joined.push_str(&message);
        }
    }
    if joined.len() == 1 {
        return answer::empty(StatusCode::ACCEPTED);
    }
    joined.push(']');
    json_response(StatusCode::OK, joined)
}

#[cfg(test)]
mod tests {
    use airside_mcp::{body::event_stream_response, sse::Event};

    use super::*;
    use airside_mcp::body::full;

    #[tokio::test]
    async fn answers_become_an_array_and_notifications_none() {
        let event = |text: &'static str| Event::message(text).encode().to_vec();
        let stream = [event(r#"{"method":"n"}"#), event(r#"{"id":2,"error":{}}"#)].concat();
        let joined = join(vec![
            answer::json(r#"{"id":1,"result":1.0}"#),
            answer::empty(StatusCode::ACCEPTED),
            event_stream_response(full(stream)),
        ]);
        let body = answer::message(joined.await, 1000).await.unwrap();
        assert_eq!(body, r#"[{"id":1,"result":1.0},{"id":2,"error":{}}]"#);
        let nothing = join(vec![answer::empty(StatusCode::ACCEPTED)]).await;
        assert_eq!(nothing.status(), StatusCode::ACCEPTED);
    }
}
