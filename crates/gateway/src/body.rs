//! Reads the body of a request, within its size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::faults::Rejection;

/// Returns the whole of `body`. One that came in one piece is not copied.
pub(crate) async fn read<B>(body: B, limit: usize, patience: Duration) -> Result<Bytes, Rejection>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_large = Rejection::BodyTooLarge { limit_bytes: limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large);
    }
    timeout(patience, collect(body, limit))
        .await
        .map_err(|_| Rejection::BodyTimeout)?
}

/// Takes in what is still to come of the body of a refused request, within bounds. A
/// client that is cut off while it sends may never read why (RFC 9112, section 9.6).
pub(crate) async fn discard<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    const MAX_BYTES: usize = 16 << 20;
    const MAX_TIME: Duration = Duration::from_secs(1);
    if body.is_end_stream() || body.size_hint().lower() > MAX_BYTES as u64 {
        return;
    }
    let taking = async {
        let mut taken = 0;
        while let Ok(Some(piece)) = next(&mut body).await {
            taken += piece.len();
            if taken > MAX_BYTES {
                break;
            }
        }
    };
    // Whatever is left when the time is over is cut off.
    let _ = timeout(MAX_TIME, taking).await;
}

async fn collect<B>(mut body: B, limit: usize) -> Result<Bytes, Rejection>
where
    B: Body<Data = Bytes> + Unpin,
{
    let first = loop {
        match next(&mut body).await? {
            Some(piece) if piece.is_empty() => {}
            Some(piece) => break piece,
            None => return Ok(Bytes::new()),
        }
    };
    let too_large = Rejection::BodyTooLarge { limit_bytes: limit };
    if first.len() > limit {
        return Err(too_large);
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut all = BytesMut::new();
    let expected = first.len() as u64 + body.size_hint().lower();
    all.reserve(usize::try_from(expected).unwrap_or(limit).min(limit));
    all.extend_from_slice(&first);
    drop(first);
    while let Some(piece) = next(&mut body).await? {
        if all.len() + piece.len() > limit {
            return Err(too_large);
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Rejection>
where
    B: Body<Data = Bytes> + Unpin,
{
    match body.frame().await {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(_)) => Err(Rejection::BodyBroken),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    async fn check(pieces: &[&'static str], expected: Result<&str, Rejection>) {
        let frames: Vec<Result<_, std::convert::Infallible>> = pieces
            .iter()
            .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))
            .collect();
        let body = StreamBody::new(stream::iter(frames));
        let read = read(body, 8, Duration::from_secs(1)).await;
        assert_eq!(
            read.as_deref().map_err(|e| *e),
            expected.map(str::as_bytes),
            "{pieces:?}"
        );
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_limit() {
        let too_large = Err(Rejection::BodyTooLarge { limit_bytes: 8 });
        check(&[], Ok("")).await;
        check(&["", "abc", "", "defgh"], Ok("abcdefgh")).await;
        check(&["abcdefgh"], Ok("abcdefgh")).await;
        check(&["abcdefghi"], too_large).await;
        check(&["abcdefgh", "i"], too_large).await;
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_body_is_given_up() {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        let read = read(body, 8, Duration::from_secs(1)).await;
        assert_eq!(read, Err(Rejection::BodyTimeout));
    }
}
