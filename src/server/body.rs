//! Reads a webhook's body within a time limit. The limit on its size holds as sent and after decompression.

use std::io::Read;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use warp::http::HeaderMap;
use warp::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// The Content-Type is not JSON.
    #[error("the Content-Type is not JSON; send application/json")]
    NotJson,
    /// The Content-Encoding is neither gzip nor none.
    #[error("the Content-Encoding is not understood; send gzip or none")]
    Encoding,
    /// The Transfer-Encoding is more than `chunked`. One proxy may decode that and another may not, and then they would
    /// disagree on where the body ends.
    #[error("the Transfer-Encoding is not understood; send chunked or none")]
    Transfer,
    /// Larger than this many bytes, as sent or decompressed.
    #[error("the body is larger than {0} bytes; send the gateway's webhook body as it is")]
    TooLarge(usize),
    /// Not complete within [`PATIENCE`].
    #[error("the body did not arrive in time; send it again")]
    Slow,
    /// The connection broke, or the compressed data is damaged.
    #[error("the body is incomplete or its compression is damaged; send it again")]
    Broken,
}

/// Reads a JSON body of at most `most` bytes, as sent and after decompression.
pub(super) async fn read(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
    most: usize,
) -> Result<Bytes, BodyError> {
    if !is_json(headers) {
        return Err(BodyError::NotJson);
    }
    if !is_plain_or_chunked(headers) {
        return Err(BodyError::Transfer);
    }
    let gzip = is_gzip(headers)?;
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(BodyError::TooLarge(most));
    }
    let bytes = timeout(PATIENCE, collect(body, most)).await.map_err(|_| BodyError::Slow)??;
    if gzip { inflate(&bytes, most) } else { Ok(bytes) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || essence == "text/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn is_plain_or_chunked(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = encodings.next().is_none_or(|first| first.as_bytes().eq_ignore_ascii_case(b"chunked"));
    chunked && encodings.next().is_none()
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, BodyError> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(BodyError::Encoding),
    }
}

async fn collect(body: impl Stream<Item = Result<impl Buf, warp::Error>>, most: usize) -> Result<Bytes, BodyError> {
    let mut body = std::pin::pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let mut chunk = chunk.map_err(|_| BodyError::Broken)?;
        if bytes.len() + chunk.remaining() > most {
            return Err(BodyError::TooLarge(most));
        }
        while chunk.has_remaining() {
            let part = chunk.chunk();
            bytes.extend_from_slice(part);
            let length = part.len();
            chunk.advance(length);
        }
    }
    Ok(bytes.freeze())
}

/// Decompresses gzip. Fails if the data is damaged, or if the result has more than `most` bytes.
pub(super) fn inflate(bytes: &[u8], most: usize) -> Result<Bytes, BodyError> {
    let mut inflated = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(most as u64 + 1);
    reader.read_to_end(&mut inflated).map_err(|_| BodyError::Broken)?;
    if inflated.len() > most { Err(BodyError::TooLarge(most)) } else { Ok(inflated.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    async fn read_with(headers: &[(&str, &str)], body: &[u8]) -> Result<Bytes, BodyError> {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (name.parse::<warp::http::HeaderName>().unwrap(), value.parse::<warp::http::HeaderValue>().unwrap())
            })
            .collect();
        let chunks: Vec<Result<Bytes, warp::Error>> =
            body.chunks(7).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        read(&headers, futures_util::stream::iter(chunks), 100).await
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn bodies_are_taken_or_refused() {
        const JSON: (&str, &str) = ("content-type", "application/json");
        const GZIP: (&str, &str) = ("content-encoding", "gzip");
        let small = gzip(b"{}");
        let bomb = gzip(&vec![b' '; 100_000]);
        assert!(bomb.len() > 100 && gzip(&[b' '; 5000]).len() < 100);
        for (headers, body, expected) in [
            (vec![JSON], &b"{}"[..], Ok("{}")),
            (vec![("content-type", "Application/JSON; charset=utf-8")], b"{}", Ok("{}")),
            (vec![("content-type", "application/cloudevents+json")], b"{}", Ok("{}")),
            (vec![JSON, GZIP], &small, Ok("{}")),
            (vec![], b"{}", Err(BodyError::NotJson)),
            (vec![("content-type", "text/plain")], b"{}", Err(BodyError::NotJson)),
            (vec![JSON, ("content-encoding", "br")], b"{}", Err(BodyError::Encoding)),
            (vec![JSON, ("transfer-encoding", "Chunked")], b"{}", Ok("{}")),
            (vec![JSON, ("transfer-encoding", "gzip, chunked")], b"{}", Err(BodyError::Transfer)),
            (
                vec![JSON, ("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")],
                b"{}",
                Err(BodyError::Transfer),
            ),
            (vec![JSON, ("content-length", "101")], b"{}", Err(BodyError::TooLarge(100))),
            (vec![JSON], &[b' '; 101], Err(BodyError::TooLarge(100))),
            (vec![JSON, GZIP], &gzip(&[b' '; 5000]), Err(BodyError::TooLarge(100))),
            (vec![JSON, GZIP], &small[..small.len() - 3], Err(BodyError::Broken)),
            (vec![JSON, GZIP], b"{}", Err(BodyError::Broken)),
        ] {
            let expected = expected.map(Bytes::from);
            assert_eq!(read_with(&headers, body).await, expected, "{headers:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_left() {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().unwrap())]);
        let endless = futures_util::stream::pending::<Result<Bytes, warp::Error>>();
        assert_eq!(read(&headers, endless, 100).await, Err(BodyError::Slow));
    }
}
