//! The keys of an array's chunks, by this package's encodings: the twin of `grids/keys.py`.

use std::fmt::Write as _;

/// How the keys of an array's chunks are spelled.
pub struct Keys {
    /// What every key begins with.
    pub prefix: String,
    /// Whether the key encoding is `default`, and not `v2`.
    pub default: bool,
    /// What stands between coordinates.
    pub separator: String,
    /// Whether the last coordinate comes first.
    pub reversed: bool,
}

impl Keys {
    /// Return the key of a chunk.
    pub fn key(&self, chunk: &[i64]) -> String {
        let mut key = String::new();
        self.spell(chunk, &mut key);
        key
    }

    /// Put the key of a chunk into `key`, instead of what is there.
    pub fn spell(&self, chunk: &[i64], key: &mut String) {
        key.clear();
        key.push_str(&self.prefix);
        if self.default {
            key.push('c');
        } else if chunk.is_empty() {
            key.push('0');
        }
        let last = chunk.len().saturating_sub(1);
        for place in 0..chunk.len() {
            let coordinate = chunk[if self.reversed { last - place } else { place }];
            if place > 0 || self.default {
                key.push_str(&self.separator);
            }
            // Writing to a string does not fail.
            let _ = write!(key, "{coordinate}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_encodings() {
        let keys = |default, separator: &str| Keys {
            prefix: "a/".into(),
            default,
            separator: separator.into(),
            reversed: false,
        };
        assert_eq!(keys(true, "/").key(&[1, 23]), "a/c/1/23");
        assert_eq!(keys(true, ".").key(&[1, 23]), "a/c.1.23");
        assert_eq!(keys(false, ".").key(&[1, 23]), "a/1.23");
        assert_eq!(keys(true, "/").key(&[]), "a/c");
        assert_eq!(keys(false, "/").key(&[]), "a/0");
        let reversed = Keys {
            reversed: true,
            ..keys(false, "/")
        };
        assert_eq!(reversed.key(&[1, 23, 4]), "a/4/23/1");
        let mut key = String::from("another");
        reversed.spell(&[], &mut key);
        assert_eq!(key, "a/0");
    }
}
