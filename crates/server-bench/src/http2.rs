//! A few frames of HTTP/2 (RFC 9113), for a client that no library wants to be.

/// What a client sends first: the preface, and settings without any.
pub(crate) fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, 4, 0, 0, &[]);
    bytes
}

/// Requests on so many streams from the number `first` on, each of which is reset at once.
pub(crate) fn reset_streams(first: u32, count: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for stream in (first..).step_by(2).take(count as usize) {
        // `:method: POST`, `:scheme: http`, `:path: /v1/check`, `:authority: x` in HPACK.
        let head = [&[0x83, 0x86, 0x44, 9][..], b"/v1/check", &[0x41, 1], b"x"].concat();
        // HEADERS with END_STREAM and END_HEADERS, and RST_STREAM with CANCEL.
        frame(&mut bytes, 1, 0x5, stream, &head);
        frame(&mut bytes, 3, 0, stream, &8_u32.to_be_bytes());
    }
    bytes
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}
