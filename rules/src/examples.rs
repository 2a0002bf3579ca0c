//! Rules carry lines that they must and must not match; here they are tried.

use crate::normalise::Scratch;
use crate::rule::{Origin, Rule, RuleIndex};
use crate::set::RuleSet;

/// An example that does not do what its rule says.
#[derive(Debug, Clone, Copy)]
pub enum ExampleFailure<'a> {
    /// An example that its rule does not match.
    NotMatched {
        /// the rule that carries it
        rule: &'a Rule,
        /// as written
        example: &'a str,
    },
    /// An example that another rule, of higher precedence, takes.
    Taken {
        /// the rule that carries it
        rule: &'a Rule,
        /// as written
        example: &'a str,
        /// the rule that takes it
        by: &'a Rule,
    },
    /// A counter-example that its rule matches.
    Matched {
        /// the rule that carries it
        rule: &'a Rule,
        /// as written
        example: &'a str,
    },
}

impl<'a> ExampleFailure<'a> {
    /// The rule that carries the example.
    pub fn rule(&self) -> &'a Rule {
        match self {
            Self::NotMatched { rule, .. }
            | Self::Taken { rule, .. }
            | Self::Matched { rule, .. } => rule,
        }
    }
}

impl std::fmt::Display for ExampleFailure<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotMatched { rule, example } => {
                write!(
                    f,
                    "rule `{}` does not match its example `{example}`",
                    rule.name
                )
            }
            Self::Taken { rule, example, by } => write!(
                f,
                "the example `{example}` of rule `{}` is taken by rule `{}`, which comes first",
                rule.name, by.name
            ),
            Self::Matched { rule, example } => {
                write!(
                    f,
                    "rule `{}` matches its counter-example `{example}`",
                    rule.name
                )
            }
        }
    }
}

impl RuleSet {
    /// Tries every rule's examples and counter-examples; empty if all is as the rules say.
    pub fn check_examples(&self) -> Vec<ExampleFailure<'_>> {
        let mut scratch = Scratch::default();
        let mut failures = Vec::new();
        for (index, rule) in self.rules().iter().enumerate() {
            for example in &rule.examples {
                failures.extend(self.check_example(index, example, &mut scratch));
            }
            for example in &rule.counter_examples {
                scratch.text.set(example.as_bytes());
                if rule.matcher.matches(&scratch.text) {
                    failures.push(ExampleFailure::Matched { rule, example });
                }
            }
        }
        failures
    }

    fn check_example<'a>(
        &'a self,
        index: RuleIndex,
        example: &'a str,
        scratch: &mut Scratch,
    ) -> Option<ExampleFailure<'a>> {
        let rule = &self.rules()[index];
        let origin = if rule.kernel {
            Origin::Kernel
        } else {
            Origin::Container
        };
        match self.judge(example.as_bytes(), origin, scratch) {
            Some(first) if first == index => None,
            Some(first) if first < index => {
                let by = &self.rules()[first];
                Some(ExampleFailure::Taken { rule, example, by })
            }
            _ => Some(ExampleFailure::NotMatched { rule, example }),
        }
    }
}
