//! The primitive types of Kafka's protocol, in both of its shapes: with fixed lengths, and compact with tagged fields (KIP-482).

/// Writes a request.
pub struct Writer {
    pub bytes: Vec<u8>,
    pub flexible: bool,
}

impl Writer {
    pub fn number<const N: usize>(&mut self, big_endian: [u8; N]) {
        self.bytes.extend(big_endian);
    }

    pub fn i8(&mut self, value: i8) {
        self.number(value.to_be_bytes());
    }

    pub fn i16(&mut self, value: i16) {
        self.number(value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.number(value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.number(value.to_be_bytes());
    }

    pub fn count(&mut self, count: usize) {
        match self.flexible {
            true => put_varint(&mut self.bytes, count as u64 + 1),
            false => self.i32(i32::try_from(count).expect("short lists")),
        }
    }

    pub fn text(&mut self, text: &str) {
        match self.flexible {
            true => put_varint(&mut self.bytes, text.len() as u64 + 1),
            false => self.i16(i16::try_from(text.len()).expect("short names")),
        }
        self.bytes.extend(text.as_bytes());
    }

    pub fn text_or_none(&mut self, text: Option<&str>) {
        match (text, self.flexible) {
            (Some(text), _) => self.text(text),
            (None, true) => put_varint(&mut self.bytes, 0),
            (None, false) => self.i16(-1),
        }
    }

    /// Never in a flexible request of ours.
    pub fn blob(&mut self, blob: &[u8]) {
        self.i32(i32::try_from(blob.len()).expect("below 2 GiB"));
        self.bytes.extend(blob);
    }

    /// The end of a structure.
    pub fn end(&mut self) {
        if self.flexible {
            self.bytes.push(0);
        }
    }
}

/// Reads an answer. Panics where it is too short: a broker that answers so is no Kafka.
pub struct Reader<'a> {
    pub rest: &'a [u8],
    pub flexible: bool,
}

impl<'a> Reader<'a> {
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(len);
        self.rest = rest;
        head
    }

    fn number<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("as long as asked for")
    }

    pub fn i8(&mut self) -> i8 {
        i8::from_be_bytes(self.number())
    }

    pub fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.number())
    }

    pub fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.number())
    }

    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.number())
    }

    fn varint(&mut self) -> u64 {
        take_varint(&mut self.rest)
    }

    /// Of an array; none at all is empty.
    pub fn count(&mut self) -> usize {
        match self.flexible {
            true => self.varint().saturating_sub(1) as usize,
            false => usize::try_from(self.i32()).unwrap_or(0),
        }
    }

    /// `None` reads as empty.
    pub fn text(&mut self) -> String {
        let len = match self.flexible {
            true => self.varint().saturating_sub(1) as usize,
            false => usize::try_from(self.i16()).unwrap_or(0),
        };
        String::from_utf8_lossy(self.take(len)).into_owned()
    }

    /// `None` reads as empty.
    pub fn blob(&mut self) -> &'a [u8] {
        let len = usize::try_from(self.i32()).unwrap_or(0);
        self.take(len)
    }

    /// The end of a structure; tags are skipped.
    pub fn end(&mut self) {
        if !self.flexible {
            return;
        }
        for _ in 0..self.varint() {
            let (_tag, len) = (self.varint(), self.varint());
            self.take(len as usize);
        }
    }

    /// Every element of an array.
    pub fn each<T>(&mut self, mut element: impl FnMut(&mut Reader<'a>) -> T) -> Vec<T> {
        (0..self.count()).map(|_| element(self)).collect()
    }
}

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn take_varint(rest: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, behind) = rest.split_first().expect("a whole number");
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
        shift += 7;
    }
}

pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub fn take_zigzag(rest: &mut &[u8]) -> i64 {
    let value = take_varint(rest);
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
