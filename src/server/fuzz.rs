//! Fuzzing targets: what a stranger can send as a compressed body, in `X-Forwarded-For`, or as a PROXY header.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::FutureExt;
use ipnet::IpNet;
use warp::http::{HeaderMap, HeaderValue};

use super::{body, proxy};

/// Input: a compressed body.
pub(crate) fn gzip(data: &[u8]) {
    const MOST: usize = 64 * 1024;
    if let Ok(inflated) = body::inflate(data, MOST) {
        assert!(inflated.len() <= MOST);
    }
}

/// Input: lines of `X-Forwarded-For`.
pub(crate) fn sender(data: &[u8]) {
    let proxy = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let trusted: Vec<IpNet> = vec![IpNet::from(proxy), IpNet::from(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)))];
    let mut headers = HeaderMap::new();
    for value in data.split(|byte| *byte == b'\n').take(90).filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append("x-forwarded-for", value);
    }
    let stranger = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(proxy::sender(stranger, &headers, &trusted), stranger, "a stranger's word is not taken");
    assert_eq!(proxy::sender(proxy, &headers, &[]), proxy);
    let found = proxy::sender(proxy, &headers, &trusted);
    assert_eq!(found, found.to_canonical());
    // What a stranger wrote before the part that our proxy appended changes nothing.
    headers.append("x-forwarded-for", HeaderValue::from_static("203.0.113.5, 10.0.0.1"));
    assert_eq!(proxy::sender(proxy, &headers, &trusted).to_string(), "203.0.113.5");
}

/// Input: the beginning of a connection that must begin with a PROXY header.
pub(crate) fn proxy_header(data: &[u8]) {
    const GOOD: &[u8] = b"PROXY TCP4 203.0.113.5 10.0.0.1 4660 443\r\n";
    const MOST: usize = 16 + 4096;
    let read = |stream: &mut &[u8]| proxy::header::read(stream).now_or_never().expect("all is there");
    let mut left = data;
    let _ = read(&mut left);
    assert!(data.len() - left.len() <= MOST, "{} bytes were read", data.len() - left.len());
    assert!(data.ends_with(left));
    // What follows a header is not consumed.
    let stream = [GOOD, data].concat();
    let mut left = &stream[..];
    assert_eq!(read(&mut left).expect("a good header").expect("it names somebody").to_string(), "203.0.113.5");
    assert_eq!(left, data);
}
