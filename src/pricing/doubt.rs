//! Prices that may not be meant: by the token where they are read by the million, or the other way round.

use super::{Price, PriceTable, Rate};

/// So many times more or less than what is known is no price change.
const OFF: u64 = 1_000;

impl PriceTable {
    /// Returns what is doubtful about a price, in words, compared with the prices in this table.
    ///
    /// Doubtful is input or output that costs at least a thousand times as much as is known of the model, or at most a
    /// thousandth of it; for a model that is not known, a thousand times as much as the dearest price, or a thousandth
    /// of the cheapest. A price of zero is taken as meant.
    ///
    /// ```
    /// use tower_quota::pricing::{Price, PriceTable};
    ///
    /// let table = PriceTable::built_in();
    /// let by_the_token = Price::new("0.0000025".parse()?, "0.00001".parse()?);
    /// assert_eq!(
    ///     table.doubt("openai", "gpt-4o", &by_the_token).unwrap(),
    ///     "input costs $0.0000025 per million tokens, and $2.50 per million tokens is known: is that by the token?"
    /// );
    /// let cheaper = Price::new("1.25".parse()?, "5".parse()?);
    /// assert_eq!(table.doubt("openai", "gpt-4o", &cheaper), None);
    /// # Ok::<(), tower_quota::money::MoneyError>(())
    /// ```
    #[must_use]
    pub fn doubt(&self, provider: &str, model: &str, price: &Price) -> Option<String> {
        let known = self.find(Some(provider), model).map(|found| found.price);
        let kinds = [
            ("input", Kind::Input, price.standard.input),
            ("output", Kind::Output, price.standard.output),
        ];
        let optional = [
            ("reasoning", Kind::Output, price.standard.reasoning),
            ("cached input", Kind::Input, price.standard.cache_read),
            ("input to a cache", Kind::Input, price.standard.cache_write),
            (
                "input to a cache for long",
                Kind::Input,
                price.standard.cache_write_long,
            ),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(name, kind, rate)| Some((name, kind, rate?)));
        let mut all = kinds.into_iter().chain(optional);
        all.find_map(|(name, kind, rate)| self.doubt_of(name, known, rate, kind))
    }

    fn doubt_of(
        &self,
        name: &str,
        known: Option<&Price>,
        rate: Rate,
        kind: Kind,
    ) -> Option<String> {
        let of = |price: &Price| match kind {
            Kind::Input => price.standard.input,
            Kind::Output => price.standard.output,
        };
        let known = match known {
            Some(known) => vec![of(known)],
            None => self.iter().map(|(_, _, price)| of(price)).collect(),
        };
        let paid: Vec<Rate> = known
            .into_iter()
            .filter(|rate| rate.as_nanos() > 0)
            .collect();
        doubt(name, rate, *paid.iter().min()?, *paid.iter().max()?)
    }
}

/// What a rate is compared with.
#[derive(Clone, Copy)]
enum Kind {
    Input,
    Output,
}

fn doubt(kind: &str, rate: Rate, least: Rate, most: Rate) -> Option<String> {
    let times = |rate: Rate| rate.as_nanos().saturating_mul(OFF);
    let (known, question) = if rate.as_nanos() > 0 && times(rate) <= least.as_nanos() {
        (least, "is that by the token?")
    } else if rate.as_nanos() >= times(most) {
        (most, "is that for more than a million?")
    } else {
        return None;
    };
    Some(format!(
        "{kind} costs {rate}, and {known} is known: {question}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: &str, output: &str) -> Price {
        Price::new(input.parse().unwrap(), output.parse().unwrap())
    }

    fn table() -> PriceTable {
        let mut table = PriceTable::new();
        table.insert("openai", "dear", price("30", "60"));
        table.insert("openai", "cheap", price("0.1", "0.4"));
        table.insert("openai", "free", price("0", "0"));
        table
    }

    #[test]
    fn what_is_a_thousand_times_off_is_doubted_and_what_is_a_little_less_is_not() {
        let doubted = |model, input, output| {
            let price = price(input, output);
            table().doubt("openai", model, &price).is_some()
        };
        assert!(doubted("dear", "0.03", "60") && doubted("dear", "30", "60000"));
        assert!(!doubted("dear", "0.031", "59999") && !doubted("dear", "0", "0"));
        assert!(doubted("new", "0.0001", "1") && doubted("new", "1", "60000"));
        assert!(!doubted("new", "0.00011", "0.001") && !doubted("new", "29999", "59999"));
        assert!(!doubted("free", "1", "1"), "of what was free nobody knows");
    }

    #[test]
    fn where_nothing_is_known_nothing_is_doubted() {
        let one = price("1000000", "0.000001");
        assert_eq!(PriceTable::new().doubt("openai", "m", &one), None);
    }

    #[test]
    fn the_built_in_prices_doubt_none_of_their_own() {
        let table = PriceTable::built_in();
        for (provider, model, price) in table.iter() {
            assert_eq!(table.doubt(provider, model, price), None, "{model}");
        }
    }
}
