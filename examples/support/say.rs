//! Saying things to a reader who may have gone: `tour | head -1` is no failure of the tour.

/// `println!`, but nobody minds if it cannot be written: what matters is the exit status.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}
