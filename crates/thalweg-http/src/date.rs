//! The `date` field of responses (RFC 9110 §6.6.1).
//!
//! An origin server that has a clock adds `date` to each final response that lacks it, unless its
//! operator has switched that off. The I/O layer owns the clock and the switch; this module says
//! where the field is due, and formats it. A [`DateCache`] formats once a second.
//!
//! # Example
//!
//! ```
//! use thalweg::{Field, Status};
//! use thalweg_http::date::{DateCache, is_due, with_date};
//!
//! let mut cache = DateCache::default();
//! let unix_seconds = 784_111_777; // from the clock of the I/O layer
//! let date = cache.get(unix_seconds).filter(|_| is_due(Status::OK));
//! let fields = [Field::new("server", "x")];
//! let sent: Vec<_> = with_date(fields, date.as_ref()).collect();
//! assert_eq!(sent[1], Field::new("date", "Sun, 06 Nov 1994 08:49:37 GMT"));
//! ```

use core::fmt;
use core::fmt::Write as _;

use thalweg::{Field, KnownName, Status};

/// A date in the format IMF-fixdate (RFC 9110 §5.6.7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Date([u8; DATE_LEN]);

impl Date {
    /// Formats seconds since 1970; `None` after the year 9999, which the format cannot hold.
    #[must_use]
    pub fn from_unix_seconds(seconds: u64) -> Option<Self> {
        if seconds > SECONDS_MAX {
            return None;
        }
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (weekday, month) = (WEEKDAYS[(days % 7) as usize], MONTHS[month as usize - 1]);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let mut text = Text { bytes: [0; DATE_LEN], len: 0 };
        write!(text, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT").ok()?;
        Some(Self(text.bytes))
    }

    /// Returns the text.
    pub const fn as_bytes(&self) -> &[u8; DATE_LEN] {
        &self.0
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Date({})", self.0.escape_ascii())
    }
}

/// The date that was formatted last. A server keeps one for each thread or connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct DateCache(Option<(u64, Date)>);

impl DateCache {
    /// Returns the date of a time in seconds since 1970. Formats it if the second has changed.
    #[inline]
    pub fn get(&mut self, seconds: u64) -> Option<Date> {
        match self.0 {
            Some((at, date)) if at == seconds => Some(date),
            _ => {
                let date = Date::from_unix_seconds(seconds)?;
                self.0 = Some((seconds, date));
                Some(date)
            }
        }
    }
}

/// Returns whether a response with this status carries `date`. RFC 9110 §6.6.1: each 2xx, 3xx and
/// 4xx must; 5xx may, and does here; 1xx may, and does not.
#[must_use]
pub const fn is_due(status: Status) -> bool {
    !status.is_informational()
}

/// Appends `date` to fields that lack it, without an allocation. `None` appends nothing.
pub fn with_date<'a>(
    fields: impl IntoIterator<Item = Field<'a>>,
    date: Option<&'a Date>,
) -> impl Iterator<Item = Field<'a>> {
    WithDate { fields: fields.into_iter(), date }
}

struct WithDate<'a, I> {
    fields: I,
    /// The date, until it is sent or the fields have one.
    date: Option<&'a Date>,
}

impl<'a, I: Iterator<Item = Field<'a>>> Iterator for WithDate<'a, I> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let Some(field) = self.fields.next() else {
            return self.date.take().map(|date| Field::with_known_name(KnownName::DATE, date.as_bytes()));
        };
        if field.known_name() == KnownName::DATE {
            self.date = None;
        }
        Some(field)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (min, max) = self.fields.size_hint();
        (min, max.and_then(|max| max.checked_add(1)))
    }
}

/// Converts a day since 1970 to year, month and day of the Gregorian calendar.
const fn civil(days: u64) -> (u64, u64, u64) {
    // Counting years from March puts the leap day last; all eras of 400 years have the same length.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + (month <= 2) as u64, month, day)
}

/// A date that is being formatted.
struct Text {
    bytes: [u8; DATE_LEN],
    len: usize,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

const DATE_LEN: usize = 29;
/// The last second of the year 9999.
const SECONDS_MAX: u64 = 253_402_300_799;
/// 1 January 1970 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn dates_are_formatted_as_imf_fixdate() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            // The example of RFC 9110 §5.6.7.
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let date = Date::from_unix_seconds(seconds).unwrap();
            assert_eq!(date.as_bytes(), text.as_bytes());
            // A cache of another second, and of the same.
            let mut cache = DateCache::default();
            cache.get(1);
            assert_eq!(cache.get(seconds), Some(date));
            assert_eq!(cache.get(seconds), Some(date));
        }
        assert_eq!(Date::from_unix_seconds(253_402_300_800), None);
        assert_eq!(DateCache::default().get(u64::MAX), None);
    }

    #[test]
    fn final_responses_carry_a_date() {
        for (status, due) in [(100, false), (103, false), (200, true), (304, true), (404, true), (500, true)]
        {
            assert_eq!(is_due(Status::new(status).unwrap()), due, "{status}");
        }
    }

    #[test]
    fn a_date_is_added_once_unless_it_is_off_or_the_application_set_one() {
        let date = Date::from_unix_seconds(784_111_777);
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        let added = |fields: &[(&'static str, &'static str)], date: Option<&Date>| {
            let fields = fields.iter().map(|(name, value)| Field::new(*name, *value));
            with_date(fields, date)
                .map(|field| (field.name().to_vec(), field.value.to_vec()))
                .collect::<Vec<_>>()
        };
        let expect = |list: &[(&str, &str)]| {
            list.iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect::<Vec<_>>()
        };
        assert_eq!(added(&[("a", "b")], date.as_ref()), expect(&[("a", "b"), ("date", text)]));
        assert_eq!(added(&[("date", "x"), ("a", "b")], date.as_ref()), expect(&[("date", "x"), ("a", "b")]));
        assert_eq!(added(&[("a", "b")], None), expect(&[("a", "b")]));
    }
}
