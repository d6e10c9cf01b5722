//! Frames as bytes.

use super::{FRAME_BYTES_MAX, Frame};
use bytes::{Buf, Bytes, BytesMut};
use std::io;

/// Bytes before the body.
pub const HEADER_BYTES: usize = 10;

/// The header of a frame; an error if its body is too long to send.
pub fn header(frame: &Frame) -> io::Result<[u8; HEADER_BYTES]> {
    let len = check_len(frame.body.len())?;
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&len.to_le_bytes());
    header[4..6].copy_from_slice(&frame.kind.to_le_bytes());
    header[6..].copy_from_slice(&frame.correlation.to_le_bytes());
    Ok(header)
}

/// A frame as one run of bytes.
#[cfg(madsim)]
pub fn encode(frame: &Frame) -> io::Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + frame.body.len());
    bytes.extend_from_slice(&header(frame)?);
    bytes.extend_from_slice(&frame.body);
    Ok(bytes.freeze())
}

/// Takes the first whole frame off `buffer`; `None` if there is none yet.
pub fn decode(buffer: &mut BytesMut) -> io::Result<Option<Frame>> {
    if buffer.len() < HEADER_BYTES {
        return Ok(None);
    }
    let len = u32::from_le_bytes(buffer[..4].try_into().expect("four bytes"));
    let len = check_len(len as usize)? as usize;
    if buffer.len() < HEADER_BYTES + len {
        buffer.reserve(HEADER_BYTES + len - buffer.len());
        return Ok(None);
    }
    let mut bytes: Bytes = buffer.split_to(HEADER_BYTES + len).freeze();
    bytes.advance(4);
    let kind = bytes.get_u16_le();
    let correlation = bytes.get_u32_le();
    Ok(Some(Frame { kind, correlation, body: bytes }))
}

/// What the end of a stream means: nothing between frames, an error inside one.
pub fn end_of_stream(buffer: &BytesMut) -> io::Result<Option<Frame>> {
    if buffer.is_empty() {
        return Ok(None);
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended inside a frame, after {} bytes of it", buffer.len())))
}

fn check_len(len: usize) -> io::Result<u32> {
    if len > FRAME_BYTES_MAX {
        let text = format!("frame length {len} is above the limit of {FRAME_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(len as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame { kind: 0x8003, correlation: 7, body: Bytes::from_static(b"abc") }
    }

    #[test]
    fn a_frame_comes_back_from_its_bytes_however_they_arrive() {
        let bytes = [&header(&frame()).unwrap()[..], b"abc", &header(&frame()).unwrap()[..4]].concat();
        let mut buffer = BytesMut::new();
        for byte in &bytes[..12] {
            buffer.extend_from_slice(&[*byte]);
            assert_eq!(decode(&mut buffer).unwrap(), None);
        }
        buffer.extend_from_slice(&bytes[12..]);
        assert_eq!(decode(&mut buffer).unwrap(), Some(frame()));
        assert_eq!(decode(&mut buffer).unwrap(), None);
        assert_eq!(end_of_stream(&buffer).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_its_body_comes() {
        let mut buffer = BytesMut::from(&[0xff; 10][..]);
        let error = decode(&mut buffer).unwrap_err().to_string();
        assert!(error.contains("frame length 4294967295 is above the limit"), "{error}");
    }
}
