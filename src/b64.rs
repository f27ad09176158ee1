//! Base64 as HTTP uses it (RFC 4648): the only file that names the crate `base64`.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};

/// Returns bytes in the standard alphabet, padded: credentials, the keys of WebSocket handshakes.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Returns the bytes of text in the standard alphabet, padded; `None` if it is not.
pub(crate) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// Returns bytes in the alphabet for URLs, without padding: HTTP2-Settings (RFC 7540, section 3.2.1).
pub(crate) fn encode_url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the bytes of text in the alphabet for URLs, without padding; `None` if it is not.
pub(crate) fn decode_url(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_both_ways() {
        let bytes = [0xfb, 0xff, 0xbf, 0x01];
        assert_eq!((encode(bytes).as_str(), encode_url(bytes).as_str()), ("+/+/AQ==", "-_-_AQ"));
        assert_eq!((decode("+/+/AQ=="), decode_url("-_-_AQ")), (Some(bytes.to_vec()), Some(bytes.to_vec())));
        assert_eq!((decode("-_-_AQ=="), decode_url("+/+/AQ")), (None, None));
    }
}
