//! What is drawn anew for each call: how large it is, how long it takes.

use std::{fmt, marker::PhantomData, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer,
    },
};

use super::bounds::LONGEST;
use crate::config::Span;

/// How many standard deviations the 95th of a hundred is from the middle.
const P95: f64 = 1.644_853_626_951_472_7;

/// How a value is drawn: always the same (`800`), evenly between two bounds (`{ uniform: [200, 900] }`), or lognormal,
/// given the values that half of all draws and 95 of a hundred stay under (`{ p50: 800, p95: 4000 }`).
#[derive(Clone, Copy, PartialEq)]
pub struct Draw<T> {
    kind: Kind,
    of: PhantomData<T>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Fixed(f64),
    Uniform(f64, f64),
    LogNormal { p50: f64, sigma: f64 },
}

/// What can be drawn.
pub(super) trait Amount: DeserializeOwned {
    const WANTED: &'static str;

    fn amount(self) -> f64;
}

impl Amount for u64 {
    const WANTED: &'static str = "a number, `{ uniform: [200, 900] }` or `{ p50: 800, p95: 4000 }`";

    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of tokens are no larger"
    )]
    fn amount(self) -> f64 {
        self as f64
    }
}

impl Amount for Span {
    const WANTED: &'static str =
        "a duration such as 2s, `{ uniform: [1s, 3s] }` or `{ p50: 2s, p95: 8s }`";

    fn amount(self) -> f64 {
        Duration::from(self).as_secs_f64()
    }
}

/// Always the same.
fn fixed<T: Amount>(value: T) -> Draw<T> {
    Kind::Fixed(value.amount()).into()
}

fn of_block<T: Amount>(block: Block<T>) -> Result<Draw<T>, String> {
    let Block { uniform, p50, p95 } = block;
    match (uniform, p50, p95) {
        (Some([least, most]), None, None) => {
            let (least, most) = (least.amount(), most.amount());
            match least <= most {
                true => Ok(Kind::Uniform(least, most).into()),
                false => Err("`uniform` begins with the larger one".to_owned()),
            }
        }
        (None, Some(p50), Some(p95)) => {
            let (p50, p95) = (p50.amount(), p95.amount());
            match 0.0 < p50 && p50 <= p95 {
                true => Ok(Kind::LogNormal {
                    p50,
                    sigma: (p95 / p50).ln() / P95,
                }
                .into()),
                false => Err("`p50` has to be more than 0, and no more than `p95`".to_owned()),
            }
        }
        _ => Err(format!("wanted is {}", T::WANTED)),
    }
}

impl<T> Draw<T> {
    fn draw(&self, random: &mut fastrand::Rng) -> f64 {
        match self.kind {
            Kind::Fixed(value) => value,
            Kind::Uniform(least, most) => least + (most - least) * random.f64(),
            Kind::LogNormal { p50, sigma } => p50 * (sigma * normal(random)).exp(),
        }
    }
}

impl Draw<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not below 0, and what is above all numbers is the largest"
    )]
    pub(super) fn number(&self, random: &mut fastrand::Rng) -> u64 {
        self.draw(random).round() as u64
    }
}

impl Draw<Span> {
    pub(super) fn span(&self, random: &mut fastrand::Rng) -> Duration {
        let span = Duration::try_from_secs_f64(self.draw(random)).unwrap_or(LONGEST);
        span.min(LONGEST)
    }

    /// Whether what it says itself is within bounds; what is drawn always is.
    pub(super) fn is_bounded(&self) -> bool {
        let most = match self.kind {
            Kind::Fixed(most) | Kind::Uniform(_, most) => most,
            Kind::LogNormal { p50, sigma } => p50 * (P95 * sigma).exp(),
        };
        most <= LONGEST.as_secs_f64()
    }
}

/// Of the standard normal distribution, by Box and Muller.
fn normal(random: &mut fastrand::Rng) -> f64 {
    let (radius, angle) = (1.0 - random.f64(), random.f64());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

impl<T> From<Kind> for Draw<T> {
    fn from(kind: Kind) -> Self {
        Draw {
            kind,
            of: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Draw<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "T: DeserializeOwned")]
struct Block<T> {
    uniform: Option<[T; 2]>,
    p50: Option<T>,
    p95: Option<T>,
}

impl<'de, T: Amount> Deserialize<'de> for Draw<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads<T>(PhantomData<T>);

        impl<'de, T: Amount> Visitor<'de> for Reads<T> {
            type Value = Draw<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::WANTED)
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Draw<T>, E> {
                T::deserialize(value.into_deserializer()).map(fixed)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Draw<T>, E> {
                T::deserialize(value.into_deserializer()).map(fixed)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Draw<T>, E> {
                T::deserialize(value.into_deserializer()).map(fixed)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Draw<T>, A::Error> {
                let block = Block::deserialize(MapAccessDeserializer::new(map))?;
                of_block(block).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Reads(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Amount>(text: &str) -> Result<Draw<T>, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_drawn_is_what_was_asked_for() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut drawn = |draw: &Draw<u64>| {
            let mut all: Vec<u64> = (0..20_001).map(|_| draw.number(&mut random)).collect();
            all.sort_unstable();
            all
        };
        let fixed = drawn(&read("800").unwrap());
        assert_eq!((fixed[0], fixed[20_000]), (800, 800));
        let even = drawn(&read(r#"{"uniform":[200,900]}"#).unwrap());
        assert!(even[0] < 202 && even[20_000] > 898, "{even:?}");
        assert!((530..570).contains(&even[10_000]), "{}", even[10_000]);
        let bent = drawn(&read(r#"{"p50":800,"p95":4000}"#).unwrap());
        assert!((770..830).contains(&bent[10_000]), "{}", bent[10_000]);
        assert!((3_700..4_300).contains(&bent[19_000]), "{}", bent[19_000]);
    }

    #[test]
    fn durations_are_drawn_too() {
        let mut random = fastrand::Rng::with_seed(7);
        let draw: Draw<Span> = read(r#"{"uniform":["1s","1500ms"]}"#).unwrap();
        let span = draw.span(&mut random);
        assert!((Duration::from_secs(1)..Duration::from_millis(1_500)).contains(&span));
        let draw: Draw<Span> = read(r#""2s""#).unwrap();
        assert_eq!(draw.span(&mut random), Duration::from_secs(2));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, word) in [
            (r#"{"uniform":[9,2]}"#, "the larger one"),
            (r#"{"uniform":[9]}"#, "length"),
            (r#"{"p50":0,"p95":2}"#, "more than 0"),
            (r#"{"p50":3,"p95":2}"#, "no more than"),
            (r#"{"p50":3}"#, "wanted is"),
            ("{}", "wanted is"),
            (r#"{"mean":3}"#, "unknown field"),
            ("true", "a number"),
            ("-1", "a number"),
            ("1.5", "u64"),
        ] {
            let error = read::<u64>(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(read::<Span>(r#""soon""#).is_err());
    }
}
