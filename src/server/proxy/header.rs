//! The PROXY protocol, with which a TCP proxy says at the beginning of a connection for whom it connects. Supports both
//! versions of <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>; everything except the address is skipped.

use std::io::{self, ErrorKind};
use std::net::IpAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longest header of version 1, in bytes, as the protocol has it.
const TEXT: u64 = 107;
/// Most bytes that may follow the fixed part of a header of version 2. Balancers need a few hundred.
const BINARY: usize = 4096;
/// The fixed part of version 2, in bytes: signature, command, kind of address, and the length of the rest.
const BEGINNING: usize = 16;
/// The command of a proxy that connects on its own behalf, to check our health.
const LOCAL: u8 = 0x20;

/// Reads a header, and nothing beyond it. Returns the address for which the proxy connects; none if it connects on its
/// own behalf or does not know. Malformed headers are errors of the kind `InvalidData`.
pub(in crate::server) async fn read<S: AsyncBufRead + Unpin>(stream: &mut S) -> io::Result<Option<IpAddr>> {
    let mut header = Vec::new();
    match stream.fill_buf().await?.first() {
        None => return Err(ErrorKind::UnexpectedEof.into()),
        Some(b'P') => {
            stream.take(TEXT).read_until(b'\n', &mut header).await?;
        }
        Some(b'\r') => {
            header.resize(BEGINNING, 0);
            stream.read_exact(&mut header).await?;
            let follows = usize::from(u16::from_be_bytes([header[14], header[15]]));
            if follows > BINARY {
                return Err(malformed("its PROXY header is too long"));
            }
            header.resize(BEGINNING + follows, 0);
            stream.read_exact(&mut header[BEGINNING..]).await?;
        }
        Some(_) => return Err(malformed("it does not begin with a PROXY header")),
    }
    understand(&header)
}

/// Pure: the address in a complete header.
fn understand(bytes: &[u8]) -> io::Result<Option<IpAddr>> {
    let wrong = || malformed("its PROXY header is malformed");
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    // With this command, the protocol wants the rest to be skipped, whatever it is.
    let unspecified = [bytes.get(..12).ok_or_else(wrong)?, &[LOCAL, 0, 0, 0]].concat();
    let bytes = if bytes.get(12) == Some(&LOCAL) { &unspecified } else { bytes };
    let (header, length) = ProxyHeader::parse(bytes, config).map_err(|_| wrong())?;
    match header.proxied_address() {
        _ if length != bytes.len() => Err(wrong()),
        None => Ok(None),
        Some(named) if named.protocol == Protocol::Stream => Ok(Some(named.source.ip())),
        Some(_) => Err(wrong()),
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    /// The result of reading a whole stream, and the bytes that were not consumed.
    fn read_all(mut bytes: &[u8]) -> (io::Result<Option<IpAddr>>, &[u8]) {
        let header = read(&mut bytes).now_or_never().expect("bytes that are there are not waited for");
        (header, bytes)
    }

    fn binary(command: u8, kind: u8, follows: &[u8]) -> Vec<u8> {
        let length = u16::try_from(follows.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, kind], &length, follows].concat()
    }

    #[test]
    fn a_header_names_whom_the_proxy_speaks_for_and_what_follows_is_left() {
        let v4 = [203, 0, 113, 5, 10, 0, 0, 1, 0x12, 0x34, 1, 187];
        let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 15], &[1], &[0x12, 0x34, 1, 187]].concat();
        let with_more = [&v4[..], &[1, 0, 2, b'h', b'2'], &[4, 0, 3, 0, 0, 0]].concat();
        for (header, named) in [
            (b"PROXY TCP4 203.0.113.5 10.0.0.1 4660 443\r\n".to_vec(), Some("203.0.113.5")),
            (b"PROXY TCP6 2001:db8::1 ::1 4660 443\r\n".to_vec(), Some("2001:db8::1")),
            (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".to_vec(), Some("255.255.255.255")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff:f:f::1 ffff::2 65535 65535\r\n".to_vec(), None),
            (binary(0x21, 0x11, &v4), Some("203.0.113.5")),
            (binary(0x21, 0x21, &v6), Some("2001:db8::1")),
            (binary(0x21, 0x11, &with_more), Some("203.0.113.5")),
            // The proxy checks our health; and addresses of an unknown kind.
            (binary(0x20, 0, &[]), None),
            (binary(0x20, 0x11, &v4), None),
            (binary(0x20, 0x11, &[1]), None),
            (binary(0x21, 0, &[]), None),
            (binary(0x21, 0, &[1, 2, 3]), None),
            (binary(0x21, 0x31, &[0; 216]), None),
        ] {
            let stream = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let (found, left) = read_all(&stream);
            assert_eq!(found.unwrap().map(|address| address.to_string()).as_deref(), named, "{header:?}");
            assert_eq!(left, b"GET / HTTP/1.1\r\n", "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_and_never_read_on_and_on() {
        let v4 = [203, 0, 113, 5, 10, 0, 0, 1, 0x12, 0x34, 1, 187];
        let endless = [b"PROXY TCP4 ", &[b'1'; 10_000][..]].concat();
        let much = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff], &vec![0; 70_000]].concat();
        for stream in [
            b"GET /healthz HTTP/1.1\r\n\r\n".to_vec(),
            b"POST /hooks/z-api/x HTTP/1.1\r\n\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01".to_vec(),
            b"\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.5 10.0.0.1 4660\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.5 10.0.0.1 4660 443 \r\n".to_vec(),
            b"PROXY TCP4 203.0.113.5 10.0.0.1 4660 443\n".to_vec(),
            b"PROXY TCP4 203.0.113.5 10.0.0.1 4660 70000\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 ::1 4660 443\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.500 10.0.0.1 4660 443\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.5\0 10.0.0.1 4660 443\r\n".to_vec(),
            b"PROXY UDP4 203.0.113.5 10.0.0.1 4660 443\r\n".to_vec(),
            b"proxy TCP4 203.0.113.5 10.0.0.1 4660 443\r\n".to_vec(),
            endless.clone(),
            binary(0x21, 0x11, &v4[..11]),
            binary(0x21, 0x21, &v4),
            binary(0x21, 0x12, &v4),
            binary(0x21, 0x41, &v4),
            binary(0x22, 0x11, &v4),
            binary(0x11, 0x11, &v4),
            binary(0x21, 0x31, &[0; 12]),
            much.clone(),
        ] {
            let (found, left) = read_all(&stream);
            assert_eq!(found.unwrap_err().kind(), ErrorKind::InvalidData, "{stream:?}");
            assert!(stream.len() - left.len() <= BEGINNING + BINARY, "{} bytes read", stream.len() - left.len());
        }
        assert_eq!(endless.len() - read_all(&endless).1.len(), 107);
        assert_eq!(much.len() - read_all(&much).1.len(), BEGINNING);
    }

    #[test]
    fn a_header_that_is_cut_off_is_none() {
        for whole in [
            b"PROXY TCP4 203.0.113.5 10.0.0.1 4660 443\r\n".to_vec(),
            binary(0x21, 0x11, &[203, 0, 113, 5, 10, 0, 0, 1, 0x12, 0x34, 1, 187]),
        ] {
            for length in 0..whole.len() {
                assert!(read_all(&whole[..length]).0.is_err(), "{:?}", &whole[..length]);
            }
        }
    }
}
