//! The rules of RFC 9112, sections 2 to 7, for both roles: bytes, what they are, what is answered.

use super::{
    super::Violation as V,
    support::{Side, run_all_cuts},
};
use crate::proto::Role;

const SECOND: &[u8] = b"GET /second HTTP/1.1\r\nHost: h\r\n\r\n";

/// Requests that are refused: section, bytes, violation, status of the answer.
#[rustfmt::skip]
const REFUSED_REQUESTS: &[(&str, &[u8], V, &str)] = &[
    // lines
    ("2.2", b"GET / HTTP/1.1\nHost: h\r\n\r\n", V::BareLf, "400 Bad Request"),
    ("2.2", b"GET / HTTP/1.1\r\nHost: h\n\r\n", V::BareLf, "400 Bad Request"),
    ("2.2", b"GET / HTTP/1.1\r\nHost: h\r\n\n", V::BareLf, "400 Bad Request"),
    ("2.2", b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", V::BareLf, "400 Bad Request"),
    ("2.2", b"\r\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", V::BareCr, "400 Bad Request"),
    ("2.2", b"GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", V::BareCr, "400 Bad Request"),
    ("2.2", b"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", V::BareCr, "400 Bad Request"),
    ("2.2", b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", V::BareCr, "400 Bad Request"),
    ("2.2", b"GET / HTTP/1.1\r\nHost: h\r\nX\r: y\r\n\r\n", V::BareCr, "400 Bad Request"),
    ("2.2", b"GET / HTTP/1.1\r\n\rHost: h\r\n\r\n", V::BareCr, "400 Bad Request"),
    ("2.2", b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", V::FieldsIndented, "400 Bad Request"),
    ("2.2", b"GET / HTTP/1.1\r\n\tHost: h\r\n\r\n", V::FieldsIndented, "400 Bad Request"),
    ("2.2", b"GET / HTTP/1.1\r\n \r\nHost: h\r\n\r\n", V::FieldsIndented, "400 Bad Request"),
    ("2.2", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", V::NotHttp, "400 Bad Request"),
    ("2.2", b" GET / HTTP/1.1\r\nHost: h\r\n\r\n", V::NotHttp, "400 Bad Request"),
    ("2.2", b"\0GET / HTTP/1.1\r\nHost: h\r\n\r\n", V::NotHttp, "400 Bad Request"),
    // versions
    ("2.3", b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", V::VersionUnsupported, "505 HTTP Version Not Supported"),
    ("2.3", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", V::VersionUnsupported, "505 HTTP Version Not Supported"),
    ("2.3", b"GET / HTTP/0.9\r\nHost: h\r\n\r\n", V::VersionUnsupported, "505 HTTP Version Not Supported"),
    ("2.3", b"GET / HTTP/1.10\r\nHost: h\r\n\r\n", V::VersionInvalid, "400 Bad Request"),
    ("2.3", b"GET / HTTP/1\r\nHost: h\r\n\r\n", V::VersionInvalid, "400 Bad Request"),
    ("2.3", b"GET / HTTP/1.x\r\nHost: h\r\n\r\n", V::VersionInvalid, "400 Bad Request"),
    ("2.3", b"GET / http/1.1\r\nHost: h\r\n\r\n", V::VersionInvalid, "400 Bad Request"),
    ("2.3", b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", V::VersionInvalid, "400 Bad Request"),
    ("2.3", b"GET / HTTP/+.1\r\nHost: h\r\n\r\n", V::VersionInvalid, "400 Bad Request"),
    // request lines
    ("3", b"GET\r\n", V::RequestLineInvalid, "400 Bad Request"),
    ("3", b"GET /\r\n", V::RequestLineInvalid, "400 Bad Request"),
    ("3", b"GET HTTP/1.1\r\nHost: h\r\n\r\n", V::RequestLineInvalid, "400 Bad Request"),
    ("3", b"GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n", V::MethodInvalid, "400 Bad Request"),
    ("3", b"GET /\tHTTP/1.1\r\nHost: h\r\n\r\n", V::RequestLineInvalid, "400 Bad Request"),
    ("3.1", b"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", V::MethodInvalid, "400 Bad Request"),
    ("3.1", b"GET: / HTTP/1.1\r\nHost: h\r\n\r\n", V::MethodInvalid, "400 Bad Request"),
    ("3.1", b"G\xc3\xa4T / HTTP/1.1\r\nHost: h\r\n\r\n", V::MethodInvalid, "400 Bad Request"),
    ("3.1", b"G\0T / HTTP/1.1\r\nHost: h\r\n\r\n", V::MethodInvalid, "400 Bad Request"),
    ("3.2", b"GET  HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2", b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetWhitespace, "400 Bad Request"),
    ("3.2", b"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetWhitespace, "400 Bad Request"),
    ("3.2", b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetWhitespace, "400 Bad Request"),
    ("3.2", b"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetWhitespace, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetWhitespace, "400 Bad Request"),
    ("3.2", b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2", b"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2", b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2", b"GET /<> HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.1", b"GET a HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.1", b"GET ?a HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.2", b"GET http:/a HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.2", b"GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.2", b"GET http://:80/a HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.2", b"GET http://u:p@h/a HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT * HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT h: HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT h:99999 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT h:+1 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.2", b"GET http://h:99999/ HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT h:0 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT :80 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT u@h:80 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT h:80/a HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.3", b"CONNECT http://h:80 HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.4", b"GET * HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    ("3.2.4", b"OPTIONS *a HTTP/1.1\r\nHost: h\r\n\r\n", V::TargetInvalid, "400 Bad Request"),
    // Host
    ("3.2", b"GET / HTTP/1.1\r\n\r\n", V::HostMissing, "400 Bad Request"),
    ("3.2", b"GET http://h/ HTTP/1.1\r\n\r\n", V::HostMissing, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n", V::HostRepeated, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n", V::HostRepeated, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: h i\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: h/a\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: h:x\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: h:1:2\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: []\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    ("3.2", b"GET / HTTP/1.0\r\nHost: \xff\r\n\r\n", V::HostInvalid, "400 Bad Request"),
    // fields
    ("5", b"GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", V::FieldNameEmpty, "400 Bad Request"),
    ("5", b"GET / HTTP/1.1\r\nHost: h\r\nabc\r\n\r\n", V::FieldWithoutColon, "400 Bad Request"),
    ("5", b"GET / HTTP/1.1\r\nHost: h\r\na(b: c\r\n\r\n", V::FieldNameInvalid, "400 Bad Request"),
    ("5", b"GET / HTTP/1.1\r\nHost: h\r\na b: c\r\n\r\n", V::FieldNameInvalid, "400 Bad Request"),
    ("5", b"GET / HTTP/1.1\r\nHost: h\r\na\0: c\r\n\r\n", V::FieldNameInvalid, "400 Bad Request"),
    ("5", b"GET / HTTP/1.1\r\nHost: h\r\n\xff: c\r\n\r\n", V::FieldNameInvalid, "400 Bad Request"),
    ("5.1", b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", V::FieldNameWhitespace, "400 Bad Request"),
    ("5.1", b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length\t : 5\r\n\r\n", V::FieldNameWhitespace, "400 Bad Request"),
    ("5.2", b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", V::FieldFolded, "400 Bad Request"),
    ("5.2", b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb: c\r\n\r\n", V::FieldFolded, "400 Bad Request"),
    ("5.2", b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n \r\n\r\n", V::FieldFolded, "400 Bad Request"),
    ("5.5", b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", V::FieldValueInvalid, "400 Bad Request"),
    ("5.5", b"GET / HTTP/1.1\r\nHost: h\r\nX: \x0b\r\n\r\n", V::FieldValueInvalid, "400 Bad Request"),
    ("5.5", b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x7f\r\n\r\n", V::FieldValueInvalid, "400 Bad Request"),
    // Transfer-Encoding
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", V::CodingUnknown, "501 Not Implemented"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", V::CodingUnknown, "501 Not Implemented"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", V::CodingUnknown, "501 Not Implemented"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", V::CodingRepeated, "400 Bad Request"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: Chunked\r\n\r\n", V::CodingRepeated, "400 Bad Request"),
    ("6.1", b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", V::CodingInHttp10, "400 Bad Request"),
    ("6.1", b"POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", V::CodingInHttp10, "400 Bad Request"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", V::CodingInvalid, "400 Bad Request"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ,chunked\r\n\r\n", V::CodingInvalid, "400 Bad Request"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", V::CodingInvalid, "400 Bad Request"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chun ked\r\n\r\n", V::CodingInvalid, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", V::CodingNotChunked, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", V::CodingNotChunked, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", V::CodingNotChunked, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", V::CodingNotChunked, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked;a=b\r\n\r\n", V::CodingNotChunked, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", V::LengthAndCoding, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", V::LengthAndCoding, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", V::CodingNotChunked, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", V::CodingNotChunked, "400 Bad Request"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", V::CodingInvalid, "400 Bad Request"),
    ("6.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", V::FieldValueInvalid, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\nContent-Length: 3\r\n\r\n", V::CodingNotChunked, "400 Bad Request"),
    ("5.2", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", V::FieldFolded, "400 Bad Request"),
    // Content-Length
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", V::ContentLengthConflict, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 6\r\n\r\nhello", V::ContentLengthConflict, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", V::ContentLengthRepeated, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", V::ContentLengthRepeated, "400 Bad Request"),
    ("6.2", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", V::ContentLengthInvalid, "400 Bad Request"),
    ("6.2", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", V::ContentLengthInvalid, "400 Bad Request"),
    ("6.2", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\nhello", V::ContentLengthInvalid, "400 Bad Request"),
    ("6.2", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5_0\r\n\r\nhello", V::ContentLengthInvalid, "400 Bad Request"),
    ("6.2", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5 0\r\n\r\nhello", V::ContentLengthInvalid, "400 Bad Request"),
    ("6.2", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello", V::ContentLengthInvalid, "400 Bad Request"),
    ("6.2", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5,\r\n\r\nhello", V::ContentLengthInvalid, "400 Bad Request"),
    ("6.2", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5.0\r\n\r\nhello", V::ContentLengthInvalid, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n", V::ContentLengthOverflow, "400 Bad Request"),
    ("6.3", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n", V::ContentLengthOverflow, "400 Bad Request"),
    ("6.3", b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\nhello", V::ConnectBody, "400 Bad Request"),
    ("6.3", b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", V::ConnectBody, "400 Bad Request"),
];

/// Chunked bodies that are refused: section, bytes behind the head, violation.
#[rustfmt::skip]
const REFUSED_CHUNKS: &[(&str, &[u8], V)] = &[
    ("7.1", b"\r\n", V::ChunkSizeInvalid),
    ("7.1", b"g\r\n", V::ChunkSizeInvalid),
    ("7.1", b"-1\r\n", V::ChunkSizeInvalid),
    ("7.1", b"+1\r\na\r\n", V::ChunkSizeInvalid),
    ("7.1", b" 1\r\na\r\n", V::ChunkSizeInvalid),
    ("7.1", b"0x1\r\na\r\n", V::ChunkSizeInvalid),
    ("7.1", b"1_0\r\n", V::ChunkSizeInvalid),
    ("7.1", b"1 \r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1", b"1 0\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1", b"1\t\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1", b"1\na\r\n", V::BareLf),
    ("7.1", b"1\ra\r\n", V::BareCr),
    ("7.1", b"1\r\r\na\r\n", V::BareCr),
    ("7.1", b"1;a\na\r\n", V::BareLf),
    ("7.1", b"10000000000000000\r\n", V::ChunkSizeTooLong),
    ("7.1", b"00000000000000001\r\n", V::ChunkSizeTooLong),
    ("7.1", b"1\r\nab\r\n", V::ChunkUnterminated),
    ("7.1", b"1\r\na\n", V::ChunkUnterminated),
    ("7.1", b"1\r\na\rb", V::ChunkUnterminated),
    ("7.1", b"1\r\na0\r\n\r\n", V::ChunkUnterminated),
    ("7.1", b"\r\n1\r\na\r\n", V::ChunkSizeInvalid),
    ("7.1", b"\n", V::ChunkSizeInvalid),
    ("7.1", b"1\0\r\na\r\n", V::ChunkSizeInvalid),
    ("7.1", b"\xef\xbc\x91\r\na\r\n", V::ChunkSizeInvalid),
    ("7.1", b"1\r\na\n\n", V::ChunkUnterminated),
    ("7.1", b"1\r\na;\r\n", V::ChunkUnterminated),
    ("7.1.1", b"1;\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;;a\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;a=\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;=b\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;a b\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;a=\"b\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;a=\"b\\\"\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;a=\"b\"c\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;a=\"\0\"\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;a\rb\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.1", b"1;a=\"\r\"\r\na\r\n", V::ChunkExtensionInvalid),
    ("7.1.2", b"0\r\nContent-Length: 5\r\n\r\n", V::TrailerForbidden),
    ("7.1.2", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", V::TrailerForbidden),
    ("7.1.2", b"0\r\nhost: h\r\n\r\n", V::TrailerForbidden),
    ("7.1.2", b"0\r\n a: b\r\n\r\n", V::FieldsIndented),
    ("7.1.2", b"0\r\na : b\r\n\r\n", V::FieldNameWhitespace),
    ("7.1.2", b"0\r\na: b\n\r\n", V::BareLf),
    ("7.1.2", b"0\r\na\r\n\r\n", V::FieldWithoutColon),
    ("7.1.2", b"0\r\na: \0\r\n\r\n", V::FieldValueInvalid),
    ("7.1.2", b"0\r\n\n", V::BareLf),
    ("7.1.2", b"0\r\n\rb: c\r\n\r\n", V::BareCr),
    ("7.1.2", b"0\r\na: b\rc\r\n\r\n", V::BareCr),
    ("7.1.2", b"0\r\n: b\r\n\r\n", V::FieldNameEmpty),
    ("7.1.2", b"0\r\na(: b\r\n\r\n", V::FieldNameInvalid),
];

/// Requests that are understood: section, bytes, events.
#[rustfmt::skip]
const REQUESTS: &[(&str, &[u8], &str)] = &[
    ("2.2", b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1 Host=h|ended"),
    ("2.3", b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", "GET / HTTP/1.1 Host=h|ended"),
    ("2.3", b"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0|ended"),
    ("3.1", b"m-search*!# / HTTP/1.1\r\nHost:\r\n\r\n", "m-search*!# / HTTP/1.1 Host=|ended"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / HTTP/1.1 Host=[::1]:80|ended"),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a-b.c_d:\r\n\r\n", "GET / HTTP/1.1 Host=a-b.c_d:|ended"),
    ("3.2.1", b"GET /a/../b?c=d/?e HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a/../b?c=d/?e HTTP/1.1 Host=h|ended"),
    ("3.2.1", b"GET //a HTTP/1.1\r\nHost: h\r\n\r\n", "GET //a HTTP/1.1 Host=h|ended"),
    ("3.2.2", b"GET http://h:1/a HTTP/1.1\r\nHost: other\r\n\r\n", "GET http://h:1/a HTTP/1.1 Host=other|ended"),
    ("3.2.2", b"GET HTTP://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET http://h/ HTTP/1.1 Host=h|ended"),
    ("3.2.3", b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\nGET / raw", "CONNECT h:443 HTTP/1.1 Host=h|ended|upgraded"),
    ("3.2.3", b"CONNECT [::1]:443 HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT [::1]:443 HTTP/1.1 Host=h|ended|upgraded"),
    ("3.2.4", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.1 Host=h|ended"),
    ("5", b"GET / HTTP/1.1\r\nHOST:h\r\na:\r\nB: \t c d\t \r\nb:\xff\r\n\r\n", "GET / HTTP/1.1 HOST=h a= B=c d b=\\xff|ended"),
    ("5", b"GET / HTTP/1.1\r\nHost: h\r\na: b\tc: d\r\n\r\n", "GET / HTTP/1.1 Host=h a=b\\tc: d|ended"),
    ("6", b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1 Host=h|ended"),
    ("6.2", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "POST / HTTP/1.1 Host=h Content-Length=0|ended"),
    ("6.2", b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 05\r\n\r\nhello", "GET / HTTP/1.1 Host=h Content-Length=05|+hello|ended"),
    ("6.2", b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "POST / HTTP/1.0 Content-Length=5|+hello|ended"),
    ("7.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: cHunKed\r\n\r\n0\r\n\r\n", "POST / HTTP/1.1 Host=h Transfer-Encoding=cHunKed|ended"),
    ("7.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A\r\n0123456789\r\n000\r\n\r\n",
        "POST / HTTP/1.1 Host=h Transfer-Encoding=chunked|+hello0123456789|ended"),
    ("7.1.1", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b;c \t;\td = \"e\\\";\xff\"\r\nx\r\n0;z\r\n\r\n",
        "POST / HTTP/1.1 Host=h Transfer-Encoding=chunked|+x|ended"),
    ("7.1.2", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nVia: c\r\nAuthorization: secret\r\nd:\r\n\r\n",
        "POST / HTTP/1.1 Host=h Transfer-Encoding=chunked|+x|trailers A=b d=|ended"),
    ("7.1.2", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nCookie: b\r\n\r\n", "POST / HTTP/1.1 Host=h Transfer-Encoding=chunked|ended"),
    ("9.3.2", b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /1 HTTP/1.1 Host=h|ended|POST /2 HTTP/1.1 Host=h Content-Length=1|+x|ended|GET /3 HTTP/1.1 Host=h|ended"),
];

type ResponseRow = (&'static str, &'static str, &'static [u8], bool, &'static str, Option<V>);

/// Responses: section, method, bytes, whether the connection ends then, events, violation.
#[rustfmt::skip]
const RESPONSES: &[ResponseRow] = &[
    // lines
    ("2.2", "GET", b"\0\0\x12\x04\0\0\0\0\0", false, "", Some(V::NotHttp)),
    ("2.2", "GET", b"HTTX", false, "", Some(V::NotHttp)),
    ("2.2", "GET", b"220 mail ESMTP\r\n", false, "", Some(V::NotHttp)),
    ("2.2", "GET", b"\r\nHTTP/1.1 200 OK\r\n\r\n", false, "", Some(V::NotHttp)),
    ("2.2", "GET", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", false, "", Some(V::BareLf)),
    ("2.2", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", false, "", Some(V::BareLf)),
    ("2.2", "GET", b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", false, "", Some(V::BareCr)),
    ("2.2", "GET", b"HTTP/1.1 200 OK\r\n a: b\r\n\r\n", false, "", Some(V::FieldsIndented)),
    ("2.3", "GET", b"HTTP/2.0 200 OK\r\n\r\n", false, "", Some(V::VersionUnsupported)),
    ("2.3", "GET", b"HTTP/x.y 200 OK\r\n\r\n", false, "", Some(V::VersionInvalid)),
    ("2.3", "GET", b"HTTP/1.9 204 OK\r\n\r\n", false, "204 HTTP/1.1|ended", None),
    // status lines
    ("4", "GET", b"HTTP/1.1\r\n\r\n", false, "", Some(V::StatusLineInvalid)),
    ("4", "GET", b"HTTP/\r\n\r\n", false, "", Some(V::StatusLineInvalid)),
    ("4", "GET", b"HTTP/1.1 20\r\n\r\n", false, "", Some(V::StatusLineInvalid)),
    ("4", "GET", b"HTTP/1.1  200 OK\r\n\r\n", false, "", Some(V::StatusLineInvalid)),
    ("4", "GET", b"HTTP/1.1\t200 OK\r\n\r\n", false, "", Some(V::StatusLineInvalid)),
    ("4", "GET", b"HTTP/1.1 2000 OK\r\n\r\n", false, "", Some(V::StatusLineInvalid)),
    ("4", "GET", b"HTTP/1.1 200OK\r\n\r\n", false, "", Some(V::StatusLineInvalid)),
    ("4", "GET", b"HTTP/1.1 2x0 OK\r\n\r\n", false, "", Some(V::StatusInvalid)),
    ("4", "GET", b"HTTP/1.1 099 OK\r\n\r\n", false, "", Some(V::StatusInvalid)),
    ("4", "GET", b"HTTP/1.1 +20 OK\r\n\r\n", false, "", Some(V::StatusInvalid)),
    ("4", "GET", b"HTTP/1.1 200 \0\r\n\r\n", false, "", Some(V::StatusLineInvalid)),
    ("4", "GET", b"HTTP/1.1 204\r\n\r\n", false, "204 HTTP/1.1|ended", None),
    ("4", "GET", b"HTTP/1.1 204 \r\n\r\n", false, "204 HTTP/1.1|ended", None),
    ("4", "GET", b"HTTP/1.1 204 a\tb \xff\r\n\r\n", false, "204 HTTP/1.1|ended", None),
    ("4", "GET", b"HTTP/1.1 999 What\r\nContent-Length: 1\r\n\r\nx", false, "999 HTTP/1.1 Content-Length=1|+x|ended", None),
    // fields
    ("5.1", "GET", b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", false, "", Some(V::FieldNameWhitespace)),
    ("5.2", "GET", b"HTTP/1.1 204 OK\r\na: b\r\n  c\r\n\t\r\n \td \r\ne: f\r\n\r\n", false, "204 HTTP/1.1 a=b c d e=f|ended", None),
    ("5.2", "GET", b"HTTP/1.1 204 OK\r\na:\r\n b\r\n\r\n", false, "204 HTTP/1.1 a=b|ended", None),
    ("5.2", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\n", false, "", Some(V::ContentLengthInvalid)),
    ("5.5", "GET", b"HTTP/1.1 200 OK\r\na: \0\r\n\r\n", false, "", Some(V::FieldValueInvalid)),
    ("5.5", "GET", b"HTTP/1.1 200 OK\r\na: b\r\n \0\r\n\r\n", false, "", Some(V::FieldValueInvalid)),
    ("5", "GET", b"HTTP/1.1 204 OK\r\nHost: a b\r\nHost: c\r\n\r\n", false, "204 HTTP/1.1 Host=a b Host=c|ended", None),
    ("2.2", "GET", b"HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n", false, "", Some(V::BareCr)),
    ("2.2", "GET", b"HTTP/1.1 200 OK\r\n\ra: b\r\n\r\n", false, "", Some(V::BareCr)),
    ("2.2", "GET", b" HTTP/1.1 200 OK\r\n\r\n", false, "", Some(V::NotHttp)),
    ("2.2", "GET", b"\nHTTP/1.1 200 OK\r\n\r\n", false, "", Some(V::NotHttp)),
    ("2.3", "GET", b"HTTP/0.9 200 OK\r\n\r\n", false, "", Some(V::VersionUnsupported)),
    ("2.3", "GET", b"HTTP/1.10 200 OK\r\n\r\n", false, "", Some(V::StatusLineInvalid)),
    ("5", "GET", b"HTTP/1.1 200 OK\r\n: b\r\n\r\n", false, "", Some(V::FieldNameEmpty)),
    ("5", "GET", b"HTTP/1.1 200 OK\r\nab\r\n\r\n", false, "", Some(V::FieldWithoutColon)),
    ("5", "GET", b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n", false, "", Some(V::FieldNameInvalid)),
    ("5", "GET", b"HTTP/1.1 200 OK\r\na\xff: c\r\n\r\n", false, "", Some(V::FieldNameInvalid)),
    ("5.2", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\r\n c\r\n\r\n", false,
        "200 HTTP/1.1 Transfer-Encoding=chunked|trailers a=b c|ended", None),
    // framing
    ("6.1", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", false, "", Some(V::CodingInvalid)),
    ("6.1", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", false, "", Some(V::CodingInvalid)),
    ("6.1", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello", false, "", Some(V::CodingNotChunked)),
    ("6.1", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", false, "", Some(V::CodingNotChunked)),
    ("6.1", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", false, "", Some(V::CodingNotChunked)),
    ("6.2", "GET", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", false, "", Some(V::ContentLengthInvalid)),
    ("6.2", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", false, "", Some(V::ContentLengthInvalid)),
    ("6.2", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", false, "", Some(V::ContentLengthInvalid)),
    ("6.2", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello", false, "", Some(V::ContentLengthInvalid)),
    ("6.2", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\nhello", false, "", Some(V::ContentLengthInvalid)),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello", false, "", Some(V::ContentLengthConflict)),
    ("6.3", "GET", b"HTTP/1.0 200 OK\r\n\r\nhello", true, "200 HTTP/1.0|+hello|ended", None),
    ("6.3", "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", false,
        "200 HTTP/1.1 Content-Length=5 Transfer-Encoding=chunked|ended", None),
    ("6.3", "GET", b"HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n", false, "304 HTTP/1.1 Transfer-Encoding=chunked|ended", None),
    ("6.3", "UPGRADE", b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nraw", false,
        "101 HTTP/1.1 Upgrade=x Content-Length=5|upgraded", None),
    ("6.1", "GET", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, "", Some(V::CodingInHttp10)),
    ("6.1", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false, "", Some(V::CodingUnknown)),
    ("6.1", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", false, "", Some(V::CodingRepeated)),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, "", Some(V::CodingNotChunked)),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", false, "", Some(V::LengthAndCoding)),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", false, "", Some(V::ContentLengthConflict)),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 05\r\nContent-Length: 5\r\n\r\nhello", false, "200 HTTP/1.1 Content-Length=5, 05 Content-Length=5|+hello|ended", None),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello", false, "", Some(V::ContentLengthInvalid)),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", false, "", Some(V::ContentLengthOverflow)),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "200 HTTP/1.1 Content-Length=5|+hello|ended", None),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n", false,
        "200 HTTP/1.1 Transfer-Encoding=chunked|+hello|trailers A=b|ended", None),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\n\r\nhello", true, "200 HTTP/1.1|+hello|ended", None),
    ("6.3", "GET", b"HTTP/1.1 200 OK\r\n\r\n", true, "200 HTTP/1.1|ended", None),
    ("6.3", "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, "200 HTTP/1.1 Content-Length=5|ended", None),
    ("6.3", "HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "200 HTTP/1.1 Transfer-Encoding=chunked|ended", None),
    ("6.3", "HEAD", b"HTTP/1.1 404 No\r\n\r\n", false, "404 HTTP/1.1|ended", None),
    ("6.3", "GET", b"HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n", false, "304 HTTP/1.1 Content-Length=5|ended", None),
    ("6.3", "GET", b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", false, "204 HTTP/1.1 Content-Length=5|ended", Some(V::NotHttp)),
    ("6.3", "GET", b"HTTP/1.1 204 No\r\nTransfer-Encoding: gzip\r\n\r\n", false, "204 HTTP/1.1 Transfer-Encoding=gzip|ended", None),
    ("6.3", "GET", b"HTTP/1.1 100 Go\r\nContent-Length: 5\r\n\r\nHTTP/1.1 103 Hint\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n", false,
        "100 HTTP/1.1 Content-Length=5|103 HTTP/1.1 Link=a|204 HTTP/1.1|ended", None),
    ("6.3", "CONNECT", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nraw", false, "200 HTTP/1.1 Content-Length=5|upgraded", None),
    ("6.3", "CONNECT", b"HTTP/1.1 299 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "299 HTTP/1.1 Transfer-Encoding=chunked|upgraded", None),
    ("6.3", "CONNECT", b"HTTP/1.1 407 Who\r\nContent-Length: 1\r\n\r\nx", false, "407 HTTP/1.1 Content-Length=1|+x|ended", None),
    ("6.3", "UPGRADE", b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nraw\n", false, "101 HTTP/1.1 Upgrade=x|upgraded", None),
    ("6.3", "UPGRADE", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "200 HTTP/1.1 Content-Length=0|ended", None),
    ("6.3", "GET", b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n", false, "", Some(V::UpgradeUnasked)),
    // the end of the connection
    ("8", "GET", b"", true, "", Some(V::EndBeforeHead)),
    ("8", "GET", b"H", true, "", Some(V::EndInHead)),
    ("8", "GET", b"HTTP/1.1 200 OK\r\n", true, "", Some(V::EndInHead)),
    ("8", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n", true, "", Some(V::EndInHead)),
    ("8", "GET", b"HTTP/1.1 100 OK\r\n\r\n", true, "100 HTTP/1.1", Some(V::EndBeforeHead)),
    ("8", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", true, "200 HTTP/1.1 Content-Length=6|+hello", Some(V::EndInBody)),
    ("8", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true, "200 HTTP/1.1 Transfer-Encoding=chunked|+hello", Some(V::EndInBody)),
    ("8", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", true, "200 HTTP/1.1 Transfer-Encoding=chunked|+hello", Some(V::EndInBody)),
    ("9.2", "GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\nmore", false, "200 HTTP/1.1 Connection=close Content-Length=0|ended", Some(V::Unsolicited)),
    ("9.3", "GET", b"HTTP/1.1 204 A\r\n\r\nHTTP/1.1 204 B\r\n\r\n", false, "204 HTTP/1.1|ended|204 HTTP/1.1|ended", None),
];

fn refusal(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

/// The violation is final, was answered once, and nothing behind it is a request.
fn assert_dead(side: &mut Side, bytes: &[u8], violation: V) {
    let mut all = bytes.to_vec();
    all.extend_from_slice(SECOND);
    assert_eq!(side.feed(&all), Err(violation), "{}", bytes.escape_ascii());
    let out = side.out.len();
    for _ in 0..3 {
        assert_eq!(side.feed(SECOND), Err(violation));
        assert_eq!(side.end_of_input(), Err(violation));
    }
    assert_eq!(side.out.len(), out);
    assert!(!side.connection.persists() && side.connection.expects().is_none());
}

#[test]
fn refused_requests() {
    for &(section, bytes, violation, status) in REFUSED_REQUESTS {
        let case = format!("{section}: {}", bytes.escape_ascii());
        assert_eq!(violation.status().to_string(), status, "{case}");
        let outcome = run_all_cuts(|| Side::new(Role::Server), "", bytes, false);
        assert_eq!(outcome.violation, Some(violation), "{case}");
        assert_eq!(outcome.events, "", "{case}");
        assert_eq!(String::from_utf8_lossy(&outcome.out), refusal(status), "{case}");
        assert_dead(&mut Side::new(Role::Server), bytes, violation);
    }
}

#[test]
fn refused_chunks() {
    for &(section, bytes, violation) in REFUSED_CHUNKS {
        let case = format!("{section}: {}", bytes.escape_ascii());
        let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let server = || {
            let mut side = Side::new(Role::Server);
            side.feed(head).unwrap();
            side
        };
        let outcome = run_all_cuts(server, "", bytes, false);
        assert_eq!(outcome.violation, Some(violation), "{case}");
        assert_eq!(String::from_utf8_lossy(&outcome.out), refusal("400 Bad Request"), "{case}");
        let mut side = server();
        side.input.extend(bytes);
        while side.poll().is_ok_and(|event| event.is_some()) {}
        assert_dead(&mut side, b"", violation);

        let client = || {
            let mut side = Side::client("GET");
            side.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            side
        };
        let outcome = run_all_cuts(client, "GET", bytes, false);
        assert_eq!((outcome.violation, outcome.out.len()), (Some(violation), 0), "{case}");
    }
}

#[test]
fn understood_requests() {
    for &(section, bytes, events) in REQUESTS {
        let outcome = run_all_cuts(|| Side::new(Role::Server), "", bytes, false);
        assert_eq!(outcome.violation, None, "{section}: {}", bytes.escape_ascii());
        assert_eq!(outcome.events, events, "{section}: {}", bytes.escape_ascii());
        let rest: &[u8] = if bytes.ends_with(b"raw") { b"GET / raw" } else { b"" };
        assert_eq!(outcome.rest, rest, "{section}: {}", bytes.escape_ascii());
    }
}

#[test]
fn responses() {
    for &(section, method, bytes, eof, events, violation) in RESPONSES {
        let case = format!("{section}: {}", bytes.escape_ascii());
        let outcome = run_all_cuts(|| Side::client(method), method, bytes, eof);
        assert_eq!(outcome.violation, violation, "{case}");
        assert_eq!(outcome.events, events, "{case}");
        if violation.is_none() {
            let rest: &[u8] = match bytes {
                [.., b'r', b'a', b'w'] => b"raw",
                [.., b'r', b'a', b'w', b'\n'] => b"raw\n",
                _ => b"",
            };
            assert_eq!(outcome.rest, rest, "{case}");
            assert_eq!(outcome.persists, events.ends_with("ended") && !eof, "{case}");
        } else if !events.contains("close") {
            assert!(!outcome.persists, "{case}");
        }
    }
}

#[test]
fn the_end_of_the_connection_in_a_server() {
    #[rustfmt::skip]
    let table: [(&[u8], &str, Option<V>); 9] = [
        (b"", "nothing", None),
        (b"\r\n", "nothing", None),
        (b"G", "", Some(V::EndInHead)),
        (b"GET / HTTP/1.1\r\n", "", Some(V::EndInHead)),
        (b"GET / HTTP/1.1\r\nHost: h\r\n", "", Some(V::EndInHead)),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1 Host=h|ended|nothing", None),
        (b"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0|ended|nothing", None),
        (b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nx", "POST / HTTP/1.0 Content-Length=2|+x", Some(V::EndInBody)),
        (b"CONNECT h:1 HTTP/1.0\r\n\r\n", "CONNECT h:1 HTTP/1.0|ended|upgraded|nothing", None),
    ];
    for (bytes, events, violation) in table {
        let outcome = run_all_cuts(|| Side::new(Role::Server), "", bytes, true);
        assert_eq!((outcome.events.as_str(), outcome.violation), (events, violation), "{}", bytes.escape_ascii());
        assert!(!outcome.persists);
        if violation.is_some() {
            assert!(String::from_utf8_lossy(&outcome.out).ends_with(&refusal("400 Bad Request")));
        }
    }
}

#[test]
fn bytes_before_a_request_was_sent() {
    for bytes in [&b"H"[..], b"HTTP/1.1 408 Slow\r\n\r\n", b"\r\n", b"\0"] {
        let mut side = Side::new(Role::Client);
        assert_eq!(side.feed(b""), Ok(vec![]));
        assert_eq!(side.feed(bytes), Err(V::Unsolicited));
        assert!(side.out.is_empty());
    }
    let mut side = Side::new(Role::Client);
    assert_eq!(side.end_of_input(), Ok(None));
    assert!(!side.connection.persists());
}

#[test]
fn every_violation_has_a_text_of_its_own() {
    let texts: std::collections::BTreeSet<_> = REFUSED_REQUESTS
        .iter()
        .map(|row| row.2)
        .chain(REFUSED_CHUNKS.iter().map(|row| row.2))
        .chain(RESPONSES.iter().filter_map(|row| row.5))
        .map(|violation| (violation.to_string(), format!("{violation:?}")))
        .collect();
    let distinct: std::collections::BTreeSet<_> = texts.iter().map(|t| &t.0).collect();
    assert_eq!(distinct.len(), texts.len());
    assert!(texts.iter().all(|(text, _)| !text.ends_with('.')));
}
