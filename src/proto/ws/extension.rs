//! What both ends agree about permessage-deflate (RFC 7692, section 7.1), and the grammar of Sec-WebSocket-Extensions.

use super::config::Deflate;
use std::fmt::Write as _;

/// The name of the extension.
const NAME: &str = "permessage-deflate";
const CLIENT_RESET: &str = "client_no_context_takeover";
const SERVER_RESET: &str = "server_no_context_takeover";
const CLIENT_BITS: &str = "client_max_window_bits";
const SERVER_BITS: &str = "server_max_window_bits";

/// Whether a compressor goes on from one message to the next with what it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Context {
    /// It remembers earlier messages: better compression, and memory for each connection.
    #[default]
    Kept,
    /// Each message is compressed for itself ("no context takeover").
    Reset,
}

/// The base-2 logarithm of the size of a window, 8 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowBits(u8);

impl WindowBits {
    /// The largest window, 32 KiB.
    pub const MAX: WindowBits = WindowBits(15);
    /// The smallest window, 256 bytes. No compressor here can keep to it, so what it concerns is sent uncompressed.
    pub const MIN: WindowBits = WindowBits(8);

    /// Returns the number of bits, or `None` if it is not from 8 to 15.
    pub fn new(bits: u8) -> Option<Self> {
        (8..=15).contains(&bits).then_some(WindowBits(bits))
    }

    /// Returns the number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Reads a decimal number without leading zeros (RFC 7692, section 7.1.2.1).
    fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [digit @ b'8'..=b'9'] => Some(WindowBits(digit - b'0')),
            [b'1', digit @ b'0'..=b'5'] => Some(WindowBits(10 + digit - b'0')),
            _ => None,
        }
    }
}

impl Default for WindowBits {
    fn default() -> Self {
        WindowBits::MAX
    }
}

/// How the messages of one end are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// Whether the compressor remembers earlier messages.
    pub context: Context,
    /// The size of the window.
    pub window: WindowBits,
}

/// How the messages of both ends are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// What the client sends.
    pub client: Direction,
    /// What the server sends.
    pub server: Direction,
}

/// One element of Sec-WebSocket-Extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    name: String,
    params: Vec<(String, Option<String>)>,
}

/// That a value breaks the grammar, or says what must not be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Reads a value of Sec-WebSocket-Extensions (RFC 6455, section 9.1) and appends its elements to `list`.
pub(super) fn parse(value: &str, list: &mut Vec<Extension>) -> Result<(), Invalid> {
    let mut scan = Scan { rest: value };
    loop {
        while scan.eat(',') {}
        if scan.rest.is_empty() {
            return Ok(());
        }
        let name = scan.token()?.to_owned();
        let mut params = Vec::new();
        while scan.eat(';') {
            let param = scan.token()?.to_owned();
            let value = if scan.eat('=') { Some(scan.value()?) } else { None };
            params.push((param, value));
        }
        list.push(Extension { name, params });
        if !scan.rest.is_empty() && !scan.eat(',') {
            return Err(Invalid);
        }
    }
}

/// What of a value is not read yet.
struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    /// Skips blanks, and `c` if it follows; returns whether it did.
    fn eat(&mut self, c: char) -> bool {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest.trim_start_matches([' ', '\t']);
                true
            }
            None => false,
        }
    }

    fn token(&mut self) -> Result<&'a str, Invalid> {
        let end = self.rest.bytes().position(|b| !is_token_byte(b)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start_matches([' ', '\t']);
        if token.is_empty() { Err(Invalid) } else { Ok(token) }
    }

    /// A token, or a quoted string that holds one.
    fn value(&mut self) -> Result<String, Invalid> {
        if !self.eat('"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        let mut chars = self.rest.chars();
        loop {
            match chars.next() {
                Some('"') => break,
                Some('\\') => value.push(chars.next().ok_or(Invalid)?),
                Some(c) => value.push(c),
                None => return Err(Invalid),
            }
        }
        self.rest = chars.as_str().trim_start_matches([' ', '\t']);
        if is_token(&value) { Ok(value) } else { Err(Invalid) }
    }
}

/// Returns whether `text` is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The parameters of one permessage-deflate, each at most once.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    client_reset: bool,
    server_reset: bool,
    /// Without a value it says only that the parameter is understood.
    client_bits: Option<Option<WindowBits>>,
    server_bits: Option<WindowBits>,
}

impl Named {
    fn read(extension: &Extension) -> Result<Self, Invalid> {
        let mut named = Named::default();
        for (name, value) in &extension.params {
            let bits = match value {
                Some(value) => Some(WindowBits::parse(value).ok_or(Invalid)?),
                None => None,
            };
            match (name.as_str(), bits) {
                (CLIENT_RESET, None) if !named.client_reset => named.client_reset = true,
                (SERVER_RESET, None) if !named.server_reset => named.server_reset = true,
                (CLIENT_BITS, bits) if named.client_bits.is_none() => named.client_bits = Some(bits),
                (SERVER_BITS, Some(bits)) if named.server_bits.is_none() => named.server_bits = Some(bits),
                _ => return Err(Invalid),
            }
        }
        Ok(named)
    }
}

/// Returns the offer of a client.
pub(super) fn offer(deflate: &Deflate) -> String {
    let Params { client, server } = deflate.wanted;
    let mut offer = NAME.to_owned();
    put_resets(client.context, server.context, &mut offer);
    put_bits(SERVER_BITS, server.window, &mut offer);
    if client.window == WindowBits::MAX {
        let _ = write!(offer, "; {CLIENT_BITS}");
    }
    put_bits(CLIENT_BITS, client.window, &mut offer);
    offer
}

/// Returns what a server agrees to and its answer, to the first of the offers that it can accept.
pub(super) fn answer(offers: &[Extension], deflate: &Deflate) -> Option<(Params, String)> {
    let wanted = deflate.wanted;
    let named = offers.iter().filter(|e| e.name == NAME).find_map(|e| Named::read(e).ok())?;
    let server = Direction {
        context: if named.server_reset { Context::Reset } else { wanted.server.context },
        window: named.server_bits.map_or(wanted.server.window, |bits| bits.min(wanted.server.window)),
    };
    let client = Direction {
        context: if named.client_reset { Context::Reset } else { wanted.client.context },
        // Only who says that it understands the parameter may be given it (section 7.1.2.2).
        window: match named.client_bits {
            None => WindowBits::MAX,
            Some(bits) => bits.unwrap_or_default().min(wanted.client.window),
        },
    };
    let mut answer = NAME.to_owned();
    put_resets(client.context, server.context, &mut answer);
    match named.server_bits {
        Some(_) => put_some_bits(SERVER_BITS, server.window, &mut answer),
        None => put_bits(SERVER_BITS, server.window, &mut answer),
    }
    put_bits(CLIENT_BITS, client.window, &mut answer);
    Some((Params { client, server }, answer))
}

/// Returns what the answer of a server agrees to, `None` if it does not want the extension.
///
/// # Errors
///
/// [`Invalid`] if it is not an answer to the offer (RFC 7692, section 7.1, RFC 6455, section 9.1).
pub(super) fn check(answer: &[Extension], deflate: Option<&Deflate>) -> Result<Option<Params>, Invalid> {
    let (extension, wanted) = match (answer, deflate) {
        ([], _) => return Ok(None),
        ([extension], Some(deflate)) if extension.name == NAME => (extension, deflate.wanted),
        _ => return Err(Invalid),
    };
    let named = Named::read(extension)?;
    if wanted.server.context == Context::Reset && !named.server_reset {
        return Err(Invalid);
    }
    let window = named.server_bits.unwrap_or_default();
    if window > wanted.server.window {
        return Err(Invalid);
    }
    let server = Direction { context: if named.server_reset { Context::Reset } else { Context::Kept }, window };
    let client = Direction {
        context: if named.client_reset { Context::Reset } else { wanted.client.context },
        window: match named.client_bits {
            None => wanted.client.window,
            Some(Some(bits)) if bits <= wanted.client.window => bits,
            Some(_) => return Err(Invalid),
        },
    };
    Ok(Some(Params { client, server }))
}

fn put_resets(client: Context, server: Context, text: &mut String) {
    for (context, name) in [(server, SERVER_RESET), (client, CLIENT_RESET)] {
        if context == Context::Reset {
            let _ = write!(text, "; {name}");
        }
    }
}

/// Appends a window that is not the largest.
fn put_bits(name: &str, bits: WindowBits, text: &mut String) {
    if bits < WindowBits::MAX {
        put_some_bits(name, bits, text);
    }
}

fn put_some_bits(name: &str, bits: WindowBits, text: &mut String) {
    let _ = write!(text, "; {name}={}", bits.get());
}
