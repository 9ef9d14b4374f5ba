//! The macro behind the table of [`Config`](super::Config).
//!
//! A struct, its setters and an enum cannot be derived from a `const` table, so this is a macro:
//! one row defines the field with its rustdoc, the default, the setter, the range that `validate`
//! checks, the variant of `Limit`, `Cost` or `Timeout` with its error code, and the entry of
//! `visit_fields`.

/// Defines the setter of a field, under the field's name or the one that the row gives.
macro_rules! setter {
    ($field:ident, [], $type:ty) => {
        setter!($field, [$field], $type);
    };
    ($field:ident, [$setter:ident], $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        #[must_use = "a setter returns the changed value"]
        pub const fn $setter(mut self, value: $type) -> Self {
            self.$field = value;
            self
        }
    };
}

macro_rules! define_config {
    (
        fields {$(
            $(#[$doc:meta])*
            $field:ident $(as $setter:ident)?: $type:ty = $default:expr
            $(, in $range:expr)?
            $(, limit $limit:ident $code:ident)?;
        )*}
        rate_limits {$(
            $(#[$rate_doc:meta])*
            $rate:ident: $cost:ident, $rate_limit:ident = $rate_default:expr;
        )*}
        timeouts {$(
            $(#[$timeout_doc:meta])*
            $timeout_field:ident $(: $timeout:ident $timeout_code:ident $text:literal)?
            = $timeout_default:expr;
        )*}
    ) => {
        /// The configuration of a connection.
        ///
        /// Plain data. Start from `Config::default()` and change fields, or chain the setters. Each
        /// setter has its field's name (`stream_window` and `connection_window` without the unit):
        ///
        /// ```
        /// use std::time::Duration;
        /// use thalweg::{Config, RateLimit, RateLimits, Timeouts};
        ///
        /// const CONFIG: Config = Config::new()
        ///     .stream_window(1 << 20)
        ///     .connection_window(8 << 20)
        ///     .rate_limits(RateLimits::new().pings(RateLimit::new(100, 1)))
        ///     .timeouts(Timeouts::new().idle(None).stall(Some(Duration::from_secs(20))));
        /// assert_eq!(CONFIG.validate(), Ok(()));
        /// ```
        ///
        /// The defaults suit a server on the open Internet and its clients.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct Config {
            $($(#[$doc])* pub $field: $type,)*
            /// How often the peer may cause each kind of work.
            pub rate_limits: RateLimits,
            /// How long the connection waits for the peer.
            pub timeouts: Timeouts,
        }

        impl Config {
            /// Creates the default configuration.
            pub const fn new() -> Self {
                Self {
                    $($field: $default,)*
                    rate_limits: RateLimits::new(),
                    timeouts: Timeouts::new(),
                }
            }

            $(setter!($field, [$($setter)?], $type);)*
            setter!(rate_limits, [], RateLimits);
            setter!(timeouts, [], Timeouts);
        }

        impl Config {
            /// Calls `visit` with the path and the value of every field, in the order of their
            /// declaration, for code that lists, stores or reads a configuration.
            pub fn visit_fields(&mut self, mut visit: impl FnMut(&'static str, ConfigValue<'_>)) {
                $(visit(stringify!($field), ConfigValue::from(&mut self.$field));)*
                $(visit(
                    concat!("rate_limits.", stringify!($rate)),
                    ConfigValue::from(&mut self.rate_limits.$rate),
                );)*
                $(visit(
                    concat!("timeouts.", stringify!($timeout_field)),
                    ConfigValue::from(&mut self.timeouts.$timeout_field),
                );)*
            }

            /// Returns the valid values of a number, given its path.
            #[cfg(feature = "arbitrary")]
            pub(crate) fn range_of(field: &str) -> RangeInclusive<u32> {
                $($(if field == stringify!($field) {
                    return $range;
                })?)*
                0..=u32::MAX
            }

            fn check_ranges(&self) -> Result<(), ConfigError> {
                $($(check_range(stringify!($field), self.$field, $range)?;)?)*
                Ok(())
            }
        }

        /// A rate limit for each kind of work that costs the peer little. A connection that exceeds
        /// one ends with ENHANCE_YOUR_CALM.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RateLimits {
            $($(#[$rate_doc])* pub $rate: RateLimit,)*
        }

        impl RateLimits {
            /// No limits, for a trusted peer.
            pub const UNLIMITED: Self = Self { $($rate: RateLimit::UNLIMITED,)* };

            /// Creates the default limits.
            pub const fn new() -> Self {
                Self { $($rate: $rate_default,)* }
            }

            $(setter!($rate, [], RateLimit);)*

            /// Returns the limit for one kind of work.
            pub(crate) const fn of(&self, cost: Cost) -> RateLimit {
                match cost {
                    $(Cost::$cost => self.$rate,)*
                }
            }
        }

        /// The kinds of work that have a rate limit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Cost {
            $(
                #[doc = concat!("Draws from `Config::rate_limits.", stringify!($rate), "`.")]
                $cost,
            )*
        }

        impl Cost {
            /// The number of kinds.
            pub(crate) const COUNT: usize = [$(stringify!($cost)),*].len();

            /// All kinds, in the order of their numbers.
            pub(crate) const ALL: [Self; Self::COUNT] = [$(Self::$cost),*];

            /// Returns the limit that errors name.
            pub(crate) const fn limit(self) -> Limit {
                match self {
                    $(Self::$cost => Limit::$rate_limit,)*
                }
            }
        }

        /// A limit in [`Config`] that the peer exceeded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Limit {
            $($(
                #[doc = concat!("`Config::", stringify!($field), "`")]
                $limit,
            )?)*
            $(
                #[doc = concat!("`Config::rate_limits.", stringify!($rate), "`")]
                $rate_limit,
            )*
        }

        impl Limit {
            /// Returns the path of the field in `Config` that holds the limit.
            pub const fn config_field(self) -> &'static str {
                match self {
                    $($(Self::$limit => stringify!($field),)?)*
                    $(Self::$rate_limit => concat!("rate_limits.", stringify!($rate)),)*
                }
            }

            /// Returns the error code of a connection or stream that this limit ended.
            pub const fn code(self) -> ErrorCode {
                match self {
                    $($(Self::$limit => ErrorCode::$code,)?)*
                    $(Self::$rate_limit => ErrorCode::ENHANCE_YOUR_CALM,)*
                }
            }
        }

        /// How long the connection waits for the peer; `None` is indefinitely.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Timeouts {
            $($(#[$timeout_doc])* pub $timeout_field: Option<Duration>,)*
        }

        impl Timeouts {
            /// No timeouts: `poll_timeout` always returns `None`. No DATA frame waits for a larger
            /// window then, since such a wait is limited by time.
            pub const OFF: Self = Self { $($timeout_field: None,)* };

            /// Creates the default timeouts.
            pub const fn new() -> Self {
                Self { $($timeout_field: $timeout_default,)* }
            }

            $(setter!($timeout_field, [], Option<Duration>);)*

            /// Returns the length of one timeout.
            pub(crate) const fn of(&self, timeout: Timeout) -> Option<Duration> {
                match timeout {
                    $($(Timeout::$timeout => self.$timeout_field,)?)*
                }
            }
        }

        /// A timeout in [`Config`] that expired.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Timeout {
            $($(
                #[doc = concat!("`Config::timeouts.", stringify!($timeout_field), "`: ", $text)]
                $timeout,
            )?)*
        }

        impl Timeout {
            /// The number of timeouts.
            pub(crate) const COUNT: usize = [$($(stringify!($timeout),)?)*].len();

            /// All timeouts, in the order of their numbers.
            pub(crate) const ALL: [Self; Self::COUNT] = [$($(Self::$timeout,)?)*];

            /// Returns the error code of a connection or stream that this timeout ended.
            pub const fn code(self) -> ErrorCode {
                match self {
                    $($(Self::$timeout => ErrorCode::$timeout_code,)?)*
                }
            }

            /// Returns the path of the field in `Config` that holds the timeout.
            pub const fn config_field(self) -> &'static str {
                match self {
                    $($(Self::$timeout => concat!("timeouts.", stringify!($timeout_field)),)?)*
                }
            }
        }
    };
}

pub(super) use {define_config, setter};
