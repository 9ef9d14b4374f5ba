//! The `date` field (RFC 9110 §6.6.1), formatted once a second per thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    static LAST: Cell<Option<(u64, Date)>> = const { Cell::new(None) };
}

/// A date in the format of RFC 9110 §5.6.7.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Date([u8; DATE_LEN]);

impl Date {
    /// Returns the current date; `None` if the system clock is before 1970 or after 9999.
    pub(crate) fn now() -> Option<Self> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        if let Some((at, date)) = LAST.get()
            && at == seconds
        {
            return Some(date);
        }
        let date = Self(imf_fixdate(seconds)?.try_into().ok()?);
        LAST.set(Some((seconds, date)));
        Some(date)
    }

    /// Returns the text.
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Formats seconds since 1970 as IMF-fixdate (RFC 9110 §5.6.7).
fn imf_fixdate(seconds: u64) -> Option<Vec<u8>> {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = WEEKDAYS[(days % 7) as usize];
    let (year, month, day) = civil(days);
    if year > 9999 {
        return None;
    }
    let month = MONTHS[month as usize - 1];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Some(format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT").into_bytes())
}

/// Converts a day since 1970 to year, month and day of the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counting years from March puts the leap day last; all eras of 400 years have the same length.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

const DATE_LEN: usize = 29;
/// 1 January 1970 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_formatted_as_imf_fixdate() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            // The example of RFC 9110 §5.6.7.
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(imf_fixdate(seconds).as_deref(), Some(date.as_bytes()));
        }
        assert_eq!(imf_fixdate(253_402_300_800), None);
    }
}
