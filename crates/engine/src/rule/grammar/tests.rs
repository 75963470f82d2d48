//! What conditions mean, and what is said of those that mean nothing.

use proptest::prelude::*;

use super::*;
use crate::rule::place::Document;
use crate::rule::yaml::{self, Value};

fn node(text: &str) -> Node<'_> {
    Node { place: Place::START, value: Value::Text(text.into()), style: yaml::Style::Plain }
}

/// The expression with every bracket written.
fn shown(expression: &ConditionExpr) -> String {
    let several = |parts: &[ConditionExpr], word: &str| {
        format!("({})", parts.iter().map(shown).collect::<Vec<_>>().join(&format!(" {word} ")))
    };
    match expression {
        ConditionExpr::And(parts) => several(parts, "and"),
        ConditionExpr::Or(parts) => several(parts, "or"),
        ConditionExpr::Not(part) => format!("not {}", shown(part)),
        ConditionExpr::Identifier(name, _) => name.clone(),
        ConditionExpr::Selector { quantifier, pattern, .. } => format!("{quantifier} of {pattern}"),
    }
}

fn without_places(expression: &mut ConditionExpr) {
    match expression {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter_mut().for_each(without_places),
        ConditionExpr::Not(part) => without_places(part),
        ConditionExpr::Identifier(_, place) | ConditionExpr::Selector { place, .. } => *place = Place::START,
    }
}

#[test]
fn not_binds_closer_than_and_and_that_closer_than_or() {
    for (text, expected) in [
        ("a", "a"),
        ("a or b and not c", "(a or (b and not c))"),
        ("(a or b) and c", "((a or b) and c)"),
        ("not not a", "a"),
        ("not (a or b)", "not (a or b)"),
        ("1 of sel* and not 1 of filter_*", "(1 of sel* and not 1 of filter_*)"),
        ("any of them or all of x", "(1 of them or all of x)"),
        ("3 of them", "3 of them"),
        ("and_x or notes", "(and_x or notes)"),
        (" a\nand\tb ", "(a and b)"),
        ("all or of_x", "(all or of_x)"),
    ] {
        assert_eq!(shown(&read(&node(text)).unwrap()), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_told_at_its_word() {
    let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
    for (text, column, part) in [
        ("a and", 6, "it ends where a name is expected"),
        ("a b", 3, "`and` or `or` is missing before `b`"),
        ("a not b", 3, "`and` or `or` is missing before `not`"),
        ("none of a*", 9, "write `not 1 of` for `none of`"),
        ("a AND b", 3, "write `and` in lower case"),
        ("(a or b", 8, "`)` is missing"),
        ("a)", 2, "there is no `(`"),
        ("and a", 1, "a name is expected before `and`"),
        ("1 of", 5, "`them` or a name"),
        ("some of them", 9, "`some of` is not"),
        ("sel*", 1, "write `1 of sel*`"),
        ("a | count() > 5", 3, "no longer part of Sigma"),
        ("a & b", 3, "`&` means nothing in a condition; write `and`"),
        ("", 1, "the condition is empty"),
        (&deep, 49, "deeper than 48"),
    ] {
        let fault = read(&node(text)).unwrap_err();
        let problem = Document { path: "", first_line: 1, text }.problem(fault);
        assert!(problem.message.contains(part), "{text}: {}", problem.message);
        assert_eq!(problem.column, column, "{text}");
    }
}

fn expression() -> impl Strategy<Value = ConditionExpr> {
    let name = "[a-z_][a-z0-9_-]{0,6}".prop_filter("a word of the language", |name| {
        !["and", "or", "not", "of", "all", "any", "them"].contains(&name.as_str())
    });
    let pattern = prop_oneof![Just(SelectorPattern::Them), "[a-z_]{1,4}\\*".prop_map(SelectorPattern::Pattern),];
    let quantifier = prop_oneof![Just(Quantifier::Any), Just(Quantifier::All), (2_u64..9).prop_map(Quantifier::Count)];
    let leaf = prop_oneof![
        name.prop_map(|name| ConditionExpr::Identifier(name, Place::START)),
        (quantifier, pattern).prop_map(|(quantifier, pattern)| ConditionExpr::Selector {
            quantifier,
            pattern,
            place: Place::START
        }),
    ];
    // As the grammar makes them: no part of an `and` is one, and two negations are none.
    leaf.prop_recursive(4, 16, 3, |inner| {
        let parts = proptest::collection::vec(inner.clone(), 2..4);
        let flat = |parts: Vec<ConditionExpr>, and: bool| {
            parts.into_iter().all(|part| match part {
                ConditionExpr::And(_) => !and,
                ConditionExpr::Or(_) => and,
                ConditionExpr::Not(_) | ConditionExpr::Identifier(..) | ConditionExpr::Selector { .. } => true,
            })
        };
        prop_oneof![
            parts.clone().prop_filter("flat", move |parts| flat(parts.clone(), true)).prop_map(ConditionExpr::And),
            parts.prop_filter("flat", move |parts| flat(parts.clone(), false)).prop_map(ConditionExpr::Or),
            inner
                .prop_filter("single", |part| !matches!(part, ConditionExpr::Not(_)))
                .prop_map(|part| ConditionExpr::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn a_condition_that_is_written_reads_as_itself(expression in expression()) {
        let mut found = read(&node(&shown(&expression))).unwrap();
        without_places(&mut found);
        prop_assert_eq!(found, expression);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(and|or|not|of|1|all|them|[a-c]|[()*|]|\\PC| ){0,30}") {
        drop(read(&node(&text)));
    }
}
