//! Dates as HTTP has them (RFC 9110, section 5.6.7); that of an answer is written once a second.

use http::HeaderValue;
use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

thread_local! {
    static NOW: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// Returns the present time as a Date; `None` with a clock before 1970.
pub(crate) fn now() -> Option<HeaderValue> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    NOW.with_borrow_mut(|kept| match kept {
        Some((at, value)) if *at == seconds => Some(value.clone()),
        _ => {
            let value = HeaderValue::try_from(imf_fixdate(seconds)).ok()?;
            *kept = Some((seconds, value.clone()));
            Some(value)
        }
    })
}

/// Returns a point in time, in seconds since 1970, as IMF-fixdate (RFC 9110, section 5.6.7).
pub(crate) fn imf_fixdate(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (weekday, month) = (DAYS[(days % 7) as usize], MONTHS[(month - 1) as usize]);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Returns the seconds since 1970 of a date in any of the three forms that a recipient has to understand (RFC 9110, section 5.6.7);
/// one before that is zero.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (this_year, ..) = civil(now.as_secs() / 86_400);
    parse_in(this_year, text)
}

/// The same in a year, which decides on the century of a year of two digits.
fn parse_in(this_year: u64, text: &str) -> Option<u64> {
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    if let Some([_, day, month, year, time, "GMT"]) = parts(text, ' ') {
        return seconds(number(year, 4)?, month, number(day, 2)?, time);
    }
    // `Sunday, 06-Nov-94 08:49:37 GMT`
    if let Some([_, date, time, "GMT"]) = parts(text, ' ') {
        let [day, month, year] = parts(date, '-')?;
        // The next with these digits, if that is not more than 50 years ahead, else the last.
        let ahead = (number(year, 2)? + 100 - this_year % 100) % 100;
        let year = if ahead > 50 { this_year + ahead - 100 } else { this_year + ahead };
        return seconds(year, month, number(day, 2)?, time);
    }
    // `Sun Nov  6 08:49:37 1994`
    if let Some([_, month, "", day, time, year]) = parts(text, ' ') {
        return seconds(number(year, 4)?, month, number(day, 1)?, time);
    }
    let [_, month, day, time, year] = parts(text, ' ')?;
    seconds(number(year, 4)?, month, number(day, 2)?, time)
}

/// Returns what is between the separators, if there are so many parts.
fn parts<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = text.split(separator);
    let mut found = [""; N];
    for part in &mut found {
        *part = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

/// Returns the number that so many digits make.
fn number(text: &str, digits: usize) -> Option<u64> {
    let more = |n: u64, b: u8| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0'));
    if text.len() == digits { text.bytes().try_fold(0, more) } else { None }
}

fn seconds(year: u64, month: &str, day: u64, time: &str) -> Option<u64> {
    let month = MONTHS.iter().position(|m| *m == month)? as u64 + 1;
    let [hour, minute, second] = parts(time, ':')?;
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    if !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if year < 1970 {
        return Some(0);
    }
    Some(days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Years as they are counted here begin in March, so that a leap day is the last of its year; 400 of them have this many days.
const ERA: u64 = 146_097;

/// From 1 March of the year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;

fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, day)
}

fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let in_era = year % 400;
    let day = in_era * 365 + in_era / 4 - in_era / 100 + (153 * month + 2) / 5 + day - 1;
    (year / 400 * ERA + day).saturating_sub(EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_there_and_back() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(imf_fixdate(seconds), text);
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
        for days in 0..60_000 {
            assert_eq!(parse(&imf_fixdate(days * 86_400 + 1)), Some(days * 86_400 + 1), "day {days}");
        }
    }

    #[test]
    fn all_three_forms() {
        for (year, text, seconds) in [
            (2026, "Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            (2026, "Sun Nov  6 08:49:37 1994", 784_111_777),
            (2026, "Tue Feb 29 00:00:00 2000", 951_782_400),
            // Of two digits: not more than 50 years ahead.
            (2026, "Wednesday, 01-Jan-76 00:00:00 GMT", 3_345_062_400),
            (2026, "Saturday, 01-Jan-77 00:00:00 GMT", 220_924_800),
            (1999, "Saturday, 01-Jan-00 00:00:00 GMT", 946_684_800),
            (2026, "Wed, 31 Dec 1969 23:59:59 GMT", 0),
        ] {
            assert_eq!(parse_in(year, text), Some(seconds), "{text} in {year}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49 1994",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 0x Nov 1994 08:49:37 GMT",
            "Sun, ü6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
