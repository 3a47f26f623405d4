//! The fields of a map, taken one by one: what nobody took is told.

use super::{api_key::VARIABLE, lent::Lent, notes::Notes};
use crate::{
    config::tree::{At, Key, Node, Value},
    money::Money,
};

/// What is left of a map.
pub(super) struct Fields<'n> {
    pub(super) path: String,
    /// Where the map begins.
    pub(super) line: u64,
    pairs: Vec<(Key, Node)>,
    /// The fields that were given to it.
    lent: Vec<Lent>,
    pub(super) notes: &'n Notes<'n>,
}

impl<'n> Fields<'n> {
    /// Of a map; `None` of anything else.
    pub(super) fn of(node: Node, path: String, notes: &'n Notes<'n>) -> Option<Self> {
        let line = node.at.line;
        match node.value {
            Value::Map(pairs) => Some(Fields {
                path,
                line,
                pairs,
                lent: Vec::new(),
                notes,
            }),
            _ => None,
        }
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{name}", self.path)
    }

    /// Takes a field; one that is null is not there.
    pub(super) fn take(&mut self, name: &str) -> Option<Node> {
        let at = self.pairs.iter().position(|(key, _)| key.name == name)?;
        let (_, node) = self.pairs.remove(at);
        (node.value != Value::Null).then_some(node)
    }

    /// Gives it a field that stands elsewhere in the file, in place of its own.
    pub(super) fn lend(&mut self, field: &Lent) {
        self.take(field.name);
        let key = Key {
            at: field.at,
            name: field.name.to_owned(),
        };
        self.pairs.push((key, field.node.clone()));
        self.lent.push(field.clone());
    }

    fn lent(&self, name: &str) -> Option<&Lent> {
        self.lent.iter().find(|field| field.name == name)
    }

    /// Where a field that was taken stands, which was here or elsewhere.
    pub(super) fn place_of(&self, name: &str, at: At) -> (String, At) {
        match self.lent(name) {
            Some(field) => (field.path.clone(), field.at),
            None => (self.path_of(name), at),
        }
    }

    /// Whether a field is there that is not null.
    pub(super) fn has(&self, name: &str) -> bool {
        let mut pairs = self.pairs.iter();
        pairs.any(|(key, node)| key.name == name && node.value != Value::Null)
    }

    /// The names of the fields that are left.
    pub(super) fn keys(&self) -> Vec<String> {
        self.pairs.iter().map(|(key, _)| key.name.clone()).collect()
    }

    /// Takes a field that is a map.
    pub(super) fn map(&mut self, name: &str) -> Option<Fields<'n>> {
        let (node, path) = (self.take(name)?, self.path_of(name));
        let line = node.at.line;
        let map = Fields::of(node, path.clone(), self.notes);
        if map.is_none() {
            self.notes.note(&path, line, "is no map");
        }
        map
    }

    /// Takes a field that is a list of maps.
    pub(super) fn maps(&mut self, name: &str) -> Vec<Fields<'n>> {
        let path = self.path_of(name);
        let nodes = self.list(name).into_iter().enumerate();
        let maps = nodes.filter_map(|(place, node)| {
            let (line, path) = (node.at.line, format!("{path}[{place}]"));
            let map = Fields::of(node, path.clone(), self.notes);
            if map.is_none() {
                self.notes.note(&path, line, "is no map");
            }
            map
        });
        maps.collect()
    }

    /// Takes a field that is a list.
    pub(super) fn list(&mut self, name: &str) -> Vec<Node> {
        match self.take(name) {
            Some(Node {
                value: Value::List(nodes),
                ..
            }) => nodes,
            Some(node) => {
                self.wrong::<()>(name, node.at, "is no list");
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Takes a text, or what an environment's variable stands for.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let node = self.take(name)?;
        match self.said(name, node)? {
            (_, Value::Text { text, .. }) => Some(text),
            (_, Value::Whole(number)) => Some(number.to_string()),
            (at, _) => self.wrong(name, at, "is no text"),
        }
    }

    /// Takes a text as it stands: a key's variable is not looked up.
    pub(super) fn secret(&mut self, name: &str) -> Option<String> {
        let node = self.take(name)?;
        match node.value {
            Value::Text { text, .. } => Some(text),
            _ => self.wrong(name, node.at, "is no text"),
        }
    }

    /// Takes a whole number.
    pub(super) fn whole(&mut self, name: &str) -> Option<u64> {
        let node = self.take(name)?;
        let (at, value) = self.said(name, node)?;
        let number = match value {
            Value::Whole(number) => Some(number),
            Value::Text { text, .. } => text.trim().parse().ok(),
            _ => None,
        };
        number.or_else(|| self.wrong(name, at, "is no whole number"))
    }

    /// Takes a whole number that is more than 0.
    pub(super) fn amount(&mut self, name: &str) -> Option<u64> {
        let at = self.at(name);
        let number = self.whole(name)?;
        let reason =
            "is 0, with which nothing would ever be sent; leave it out where there is no limit";
        if number == 0 {
            self.wrong(name, at, reason)
        } else {
            Some(number)
        }
    }

    /// Takes a number as a decimal.
    pub(super) fn decimal(&mut self, name: &str) -> Option<String> {
        let node = self.take(name)?;
        let (at, value) = self.said(name, node)?;
        match value {
            Value::Whole(number) => Some(number.to_string()),
            Value::Negative(number) => Some(number.to_string()),
            Value::Float(number) if number.is_finite() => Some(number.to_string()),
            Value::Text { text, .. } if text.trim().parse::<f64>().is_ok_and(f64::is_finite) => {
                Some(text.trim().to_owned())
            }
            _ => self.wrong(name, at, "is no number"),
        }
    }

    /// Takes dollars, more than none.
    pub(super) fn money(&mut self, name: &str) -> Option<Money> {
        let at = self.at(name);
        let money = self.decimal(name)?.parse();
        match money {
            Ok(Money::ZERO) => self.wrong(name, at, "is 0, with which nothing would ever be sent"),
            Ok(money) => Some(money),
            Err(_) => self.wrong(
                name,
                at,
                "is no amount of dollars with at most nine decimals",
            ),
        }
    }

    /// Takes names, each with a list of names: `[{ a: [b, c] }]`, or `{ a: [b] }`.
    pub(super) fn names(&mut self, name: &str) -> Vec<(String, Vec<String>)> {
        let path = self.path_of(name);
        let Some(node) = self.take(name) else {
            return Vec::new();
        };
        let maps = match node.value {
            Value::List(nodes) => nodes,
            _ => vec![node],
        };
        let mut read = Vec::new();
        for (place, node) in maps.into_iter().enumerate() {
            let line = node.at.line;
            let Value::Map(pairs) = node.value else {
                self.notes.note(
                    &format!("{path}[{place}]"),
                    line,
                    "names no model with a list of others",
                );
                continue;
            };
            for (key, node) in pairs {
                match texts(node) {
                    Some(others) => read.push((key.name, others)),
                    None => self.notes.note(
                        &format!("{path}[{place}].{}", key.name),
                        line,
                        "is no list of names; only these are read",
                    ),
                }
            }
        }
        read
    }

    /// Says of a field that was taken why it is not read.
    pub(super) fn wrong<T>(&self, name: &str, at: At, reason: impl Into<String>) -> Option<T> {
        let (path, at) = self.place_of(name, at);
        let line = if at.line > 0 { at.line } else { self.line };
        let mut reason = reason.into();
        if self.lent(name).is_some() {
            reason = format!("{reason}; `{}` has it from here", self.path);
        }
        self.notes.note(&path, line, reason);
        None
    }

    /// Takes a field that has no counterpart here, and says why.
    pub(super) fn pass(&mut self, name: &str, reason: &str) {
        if let Some(node) = self.take(name) {
            self.wrong::<()>(name, node.at, reason);
        }
    }

    pub(super) fn at(&self, name: &str) -> At {
        let found = self.pairs.iter().find(|(key, _)| key.name == name);
        found.map_or(At::default(), |(key, _)| key.at)
    }

    /// Says of everything that nobody took why it is not read.
    pub(super) fn rest(self, reason: &str) {
        for (key, _) in &self.pairs {
            self.wrong::<()>(&key.name, key.at, reason);
        }
    }

    /// A value, or what its variable of the environment stands for.
    fn said(&self, name: &str, node: Node) -> Option<(At, Value)> {
        let Value::Text { text, .. } = &node.value else {
            return Some((node.at, node.value));
        };
        let Some(variable) = text.strip_prefix(VARIABLE) else {
            return Some((node.at, node.value));
        };
        match self.notes.environment()(variable) {
            Some(value) => Some((node.at, Value::text(value))),
            None => {
                let reason = format!("the environment variable `{variable}` is not set");
                self.wrong(name, node.at, reason)
            }
        }
    }
}

/// A list of texts, or one.
pub(super) fn texts(node: Node) -> Option<Vec<String>> {
    match node.value {
        Value::Text { text, .. } => Some(vec![text]),
        Value::List(nodes) => {
            let texts = nodes.into_iter().map(|node| match node.value {
                Value::Text { text, .. } => Some(text),
                _ => None,
            });
            texts.collect()
        }
        _ => None,
    }
}
