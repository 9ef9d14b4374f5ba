//! The date of responses: one reading of the clock for all responses that are sent together, and
//! one text a second for each thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use thalweg_http::date::{Date, DateCache};

thread_local! {
    static CACHE: Cell<DateCache> = Cell::new(DateCache::default());
}

/// Returns the current date; `None` if the system clock is before 1970 or after 9999.
pub(crate) fn now() -> Option<Date> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let mut cache = CACHE.get();
    let date = cache.get(seconds);
    CACHE.set(cache);
    date
}
