//! What goes wrong is said on standard error, to a reader who may have gone: `fetch -v URL 2>&1 | head -1` is no panic of `fetch`.

/// `eprintln!`, but nobody minds if it cannot be written: what matters is the exit status.
macro_rules! warn {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}
