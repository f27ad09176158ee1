//! What a connection tells its caller.

use crate::{
    fields::Fields,
    proto::{RequestHead, ResponseHead},
};

/// What happened; borrows its payload from the input.
///
/// | role | events of one exchange, in this order |
/// |---|---|
/// | server | `Head`, any `Data`, perhaps `Trailers`, `Ended`; then `Upgraded` if the response switched protocols |
/// | client | any `Informational`, `Answer`, any `Data`, perhaps `Trailers`, `Ended`; or `Answer`, `Upgraded` |
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// Server: a request arrived; its body, if any, follows.
    ///
    /// A target in absolute form overrules the Host field, which may differ from it (RFC 9112, section 3.2.2).
    Head(RequestHead),
    /// Client: a 1xx other than 101.
    Informational(ResponseHead),
    /// Client: the final response; its body, if any, follows. A 101, or a 2xx to CONNECT, is followed by `Upgraded`.
    Answer(ResponseHead),
    /// A piece of the body, never empty.
    Data(&'b [u8]),
    /// The trailers, never empty; `Ended` follows.
    ///
    /// Fields that cannot be understood behind the body are left out (RFC 9110, section 6.5.1): those of
    /// authentication, of controls and conditions of requests and responses, of the format of the content.
    /// Content-Length, Host and Transfer-Encoding there are a violation, for only an attack puts them in that place.
    Trailers(Fields),
    /// The message that came in is complete. What is still in `input` belongs to the next one.
    Ended,
    /// The connection speaks another protocol now; everything still in `input` belongs to it.
    Upgraded,
}
