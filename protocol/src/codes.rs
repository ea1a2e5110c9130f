//! How tables of numbers with names are written: a line says number, name and meaning, and everything else follows.

/// Makes a type of a table of one-byte numbers: a constant a line, `ALL`, `name`, `sentence`, conversions, and how it is
/// printed. Numbers without a line are kept, and printed as numbers.
///
/// `{:?}` prints number and name. What `{}` prints stands behind `shown`: `full` is number, name and sentence; `sentence`
/// is that alone.
macro_rules! codes {
    (
        $(#[$doc:meta])*
        $type:ident: $what:literal, shown $shown:ident;
        $($number:literal = $name:ident: $sentence:literal,)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(pub u8);

        impl $type {
            $(#[doc = concat!("Number ", stringify!($number), ": ", $sentence, ".")]
            pub const $name: Self = Self($number);)*

            /// Every number with a name, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self($number),)*];

            /// The name in capitals; none for a number that is not in the table.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// What it means, in a few words without a full stop.
            pub fn sentence(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($sentence),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{} {name}", self.0),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                codes!(@$shown self, f, $what)
            }
        }

        impl From<$type> for u8 {
            fn from(code: $type) -> u8 {
                code.0
            }
        }

        impl From<u8> for $type {
            fn from(number: u8) -> Self {
                Self(number)
            }
        }
    };
    (@full $self:ident, $f:ident, $what:literal) => {
        match $self.sentence() {
            Some(sentence) => write!($f, "{:?}: {sentence}", $self),
            None => write!($f, concat!("{} (unknown ", $what, ")"), $self.0),
        }
    };
    (@sentence $self:ident, $f:ident, $what:literal) => {
        match $self.sentence() {
            Some(sentence) => $f.write_str(sentence),
            None => write!($f, concat!($what, " {}"), $self.0),
        }
    };
}

pub(crate) use codes;
