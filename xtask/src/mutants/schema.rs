//! All changes to one file at once, each behind a test of the switch.
//!
//! Text is only inserted; the existing text stays, and each choice holds the changed code
//! beside it. As one change is made at a time, the changed code needs no choices inside.
//!
//! Invariants: where the switch names no change, the new text does what the old one does.

use std::collections::HashMap;
use std::ops::Range;

use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, BinOp, Block, Expr, ExprBinary, ExprStruct, ExprUnary, Signature};

use super::list::{Genre, Mutant, Place};

/// Whether change `{}` is selected.
const SWITCH: &str = "::mutant_switch::on";

/// A changed file.
pub struct Schema {
    pub text: String,
    /// The places of the changes: for each the bytes that only it has.
    pub own: Vec<(Range<usize>, usize)>,
    /// Choices, with the changes between which they choose.
    pub choices: Vec<(Range<usize>, Vec<usize>)>,
    /// The functions whose `const` was removed.
    pub freed: Vec<String>,
    /// The changes that it holds; for the others no place was found where one can choose at run
    /// time.
    pub held: Vec<usize>,
}

/// Inserts the changes to a file into its text. `constant` names functions that must stay `const`.
pub fn build(
    text: &str,
    mutants: &[(usize, &Mutant)],
    constant: &dyn Fn(&str) -> bool,
) -> syn::Result<Schema> {
    let file = syn::parse_file(text)?;
    let mut by_place: HashMap<(Place, bool), Vec<(usize, &Mutant)>> = HashMap::new();
    for (id, mutant) in mutants {
        let key = (mutant.span.start, mutant.genre == Genre::FnValue);
        by_place.entry(key).or_default().push((*id, mutant));
    }
    let mut writer = Writer {
        text,
        lines: line_starts(text),
        by_place,
        constant,
        inserts: Vec::new(),
        cuts: Vec::new(),
        freed: Vec::new(),
        is_const: false,
    };
    writer.visit_file(&file);
    Ok(writer.finish())
}

struct Writer<'a> {
    text: &'a str,
    lines: Vec<usize>,
    /// By where they start, those of whole functions apart.
    by_place: HashMap<(Place, bool), Vec<(usize, &'a Mutant)>>,
    constant: &'a dyn Fn(&str) -> bool,
    inserts: Vec<Insert>,
    cuts: Vec<Range<usize>>,
    freed: Vec<String>,
    /// Whether the position is in a constant expression, where the switch cannot be tested.
    is_const: bool,
}

/// Text to insert.
struct Insert {
    at: usize,
    /// The length of the text between it and its counterpart.
    len: usize,
    side: Side,
    /// Parts of the text, and the change to which alone each belongs.
    pieces: Vec<Piece>,
    /// The changes of the choice that it opens, if something closes it.
    ids: Option<Vec<usize>>,
}

type Piece = (String, Option<usize>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Side {
    Close,
    Open,
}

impl<'a> Writer<'a> {
    fn take(&mut self, span: proc_macro2::Span, genre: Genre) -> Vec<(usize, &'a Mutant)> {
        if self.is_const {
            return Vec::new();
        }
        let LineColumn { line, column } = span.start();
        let place = Place { line, column: column + 1 };
        let Some(found) = self.by_place.get(&(place, genre == Genre::FnValue)) else { return Vec::new() };
        found.iter().filter(|(_, mutant)| mutant.genre == genre).copied().collect()
    }

    fn offset(&self, place: LineColumn) -> usize {
        let start = self.lines[place.line - 1];
        let line = &self.text[start..];
        start + line.char_indices().nth(place.column).map_or(line.len(), |(at, _)| at)
    }

    fn range(&self, span: proc_macro2::Span) -> Range<usize> {
        self.offset(span.start())..self.offset(span.end())
    }

    /// Inserts text at a place.
    fn insert(&mut self, at: usize, len: usize, pieces: Vec<Piece>) {
        self.inserts.push(Insert { at, len, side: Side::Open, pieces, ids: None });
    }

    /// Inserts text around `range`. The rank is higher the further out it belongs.
    fn wrap(&mut self, range: Range<usize>, rank: usize, pieces: Vec<Piece>, close: &str, ids: Vec<usize>) {
        let len = range.len() + rank;
        self.inserts.push(Insert { at: range.start, len, side: Side::Open, pieces, ids: Some(ids) });
        let pieces = vec![(close.into(), None)];
        self.inserts.push(Insert { at: range.end, len, side: Side::Close, pieces, ids: None });
    }

    /// `(if on(1) { CHANGED } else { ... })` around `range`.
    fn choose(&mut self, range: Range<usize>, changed: &[(usize, String)]) {
        if changed.is_empty() {
            return;
        }
        let mut pieces = vec![("(".into(), None)];
        for (id, text) in changed {
            pieces.push((format!("if {SWITCH}({id}) {{ "), None));
            pieces.push((text.clone(), Some(*id)));
            pieces.push((" } else ".into(), None));
        }
        pieces.push(("{ ".into(), None));
        let ids = changed.iter().map(|(id, _)| *id).collect();
        self.wrap(range, 0, pieces, " })", ids);
    }

    fn function(&mut self, signature: &Signature, block: &Block) {
        let name = signature.ident.to_string();
        let was_const = std::mem::replace(&mut self.is_const, false);
        if let Some(word) = &signature.constness {
            if (self.constant)(&name) {
                self.is_const = true;
            } else {
                let range = self.range(word.span);
                self.cuts.push(range);
                self.freed.push(name);
            }
        }
        if let Some(first) = block.stmts.first() {
            let mutants = self.take(first.span(), Genre::FnValue);
            let at = self.offset(first.span().start());
            let len = self.range(block.span()).len();
            for (id, mutant) in mutants {
                let pieces = vec![
                    (format!("if {SWITCH}({id}) {{ "), None),
                    (format!("return {};", mutant.replacement), Some(id)),
                    (" } ".into(), None),
                ];
                self.insert(at, len, pieces);
            }
        }
        self.visit_block(block);
        self.is_const = was_const;
    }

    /// Visits what the compiler computes.
    fn constant(&mut self, visit: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.is_const, true);
        visit(self);
        self.is_const = before;
    }

    fn finish(mut self) -> Schema {
        // At one place: what closes first, the inner first; then what opens, the outer first.
        self.inserts.sort_by_key(|insert| {
            let len = insert.len as isize;
            (insert.at, insert.side, if insert.side == Side::Open { -len } else { len })
        });
        self.cuts.sort_by_key(|cut| cut.start);
        let mut schema = Schema {
            text: String::new(),
            own: Vec::new(),
            choices: Vec::new(),
            freed: self.freed,
            held: Vec::new(),
        };
        let mut cuts = self.cuts.into_iter().peekable();
        let mut from = 0;
        let mut copy = |schema: &mut Schema, until: usize| {
            while let Some(cut) = cuts.next_if(|cut| cut.start < until) {
                schema.text.push_str(&self.text[from..cut.start]);
                from = cut.end;
            }
            schema.text.push_str(&self.text[from..until]);
            from = until;
        };
        let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
        for insert in self.inserts {
            copy(&mut schema, insert.at);
            let start = schema.text.len();
            for (piece, id) in &insert.pieces {
                let start = schema.text.len();
                schema.text.push_str(piece);
                if let Some(id) = id {
                    schema.own.push((start..schema.text.len(), *id));
                    schema.held.push(*id);
                }
            }
            match (insert.side, insert.ids) {
                (Side::Open, Some(ids)) => open.push((start, ids)),
                (Side::Open, None) => {}
                (Side::Close, _) => {
                    let (start, ids) = open.pop().expect("what closes was opened");
                    schema.choices.push((start..schema.text.len(), ids));
                }
            }
        }
        copy(&mut schema, self.text.len());
        schema
    }
}

impl<'ast> Visit<'ast> for Writer<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(|writer| visit::visit_item_const(writer, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(|writer| visit::visit_impl_item_const(writer, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.constant(|writer| visit::visit_item_static(writer, item));
    }

    fn visit_expr_const(&mut self, expr: &'ast syn::ExprConst) {
        self.constant(|writer| visit::visit_expr_const(writer, expr));
    }

    fn visit_expr_repeat(&mut self, expr: &'ast syn::ExprRepeat) {
        self.visit_expr(&expr.expr);
        self.constant(|writer| writer.visit_expr(&expr.len));
    }

    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_pat(&mut self, _: &'ast syn::Pat) {}

    fn visit_expr_binary(&mut self, expr: &'ast ExprBinary) {
        // A chain of `let` and `&&` is no value, so that there is nothing to choose.
        if !holds_let(expr) {
            let whole = self.range(expr.span());
            let operator = self.range(expr.op.span());
            let changed: Vec<_> = self
                .take(expr.op.span(), Genre::BinaryOperator)
                .into_iter()
                .map(|(id, mutant)| {
                    let left = &self.text[whole.start..operator.start];
                    let right = &self.text[operator.end..whole.end];
                    (id, format!("{left}{}{right}", mutant.replacement))
                })
                .collect();
            self.choose(whole, &changed);
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast ExprUnary) {
        let whole = self.range(expr.span());
        let operand = self.text[self.range(expr.expr.span())].to_string();
        let mutants = self.take(expr.op.span(), Genre::UnaryOperator);
        let changed: Vec<_> = mutants.into_iter().map(|(id, _)| (id, operand.clone())).collect();
        self.choose(whole, &changed);
        visit::visit_expr_unary(self, expr);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        let ask = |(id, _): &(usize, &Mutant)| (format!("!{SWITCH}({id})"), Some(*id));
        let deleted: Vec<_> = self.take(arm.span(), Genre::MatchArm).iter().map(ask).collect();
        match &arm.guard {
            None if !deleted.is_empty() => {
                let at = self.range(arm.pat.span()).end;
                let mut pieces = vec![(" if ".to_string(), None)];
                pieces.extend(deleted);
                self.insert(at, 0, pieces);
            }
            None => {}
            Some((_, guard)) => {
                let replaced = self.take(guard.span(), Genre::MatchArmGuard);
                let (always, never): (Vec<_>, Vec<_>) =
                    replaced.iter().partition(|(_, mutant)| mutant.replacement == "true");
                let mut pieces = Vec::new();
                for piece in deleted {
                    pieces.extend([piece, (" && ".into(), None)]);
                }
                pieces.push(("(".into(), None));
                pieces.extend(always.iter().map(|(id, _)| (format!("{SWITCH}({id}) || "), Some(*id))));
                pieces.extend(never.iter().map(|(id, _)| (format!("!{SWITCH}({id}) && "), Some(*id))));
                pieces.push(("(".into(), None));
                let ids: Vec<usize> = pieces.iter().filter_map(|(_, id)| *id).collect();
                if !ids.is_empty() {
                    self.wrap(self.range(guard.span()), 1, pieces, "))", ids);
                }
            }
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, expr: &'ast ExprStruct) {
        if let Some(base) = &expr.rest {
            let base = self.text[self.range(base.span())].to_string();
            for field in &expr.fields {
                let syn::Member::Named(name) = &field.member else { continue };
                let mutants = self.take(field.span(), Genre::StructField);
                let changed: Vec<_> =
                    mutants.iter().map(|(id, _)| (*id, format!("({base}).{name}"))).collect();
                let whole = self.range(field.span());
                if field.colon_token.is_some() {
                    self.choose(self.range(field.expr.span()), &changed);
                } else if !changed.is_empty() {
                    self.insert(whole.start, whole.len() + 1, vec![(format!("{name}: "), None)]);
                    self.choose(whole, &changed);
                }
            }
        }
        visit::visit_expr_struct(self, expr);
    }
}

fn holds_let(expr: &ExprBinary) -> bool {
    let side = |expr: &Expr| match expr {
        Expr::Let(_) => true,
        Expr::Binary(inner) => holds_let(inner),
        _ => false,
    };
    matches!(expr.op, BinOp::And(_)) && (side(&expr.left) || side(&expr.right))
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::list::Span;
    use super::*;

    /// Returns a change that starts where `needle` does.
    fn mutant(text: &str, needle: &str, genre: Genre, replacement: &str) -> Mutant {
        let at = text.find(needle).unwrap();
        let line = text[..at].matches('\n').count() + 1;
        let column = text[..at].chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        let place = Place { line, column };
        let span = Span { start: place, end: place };
        Mutant { file: String::new(), name: String::new(), genre, replacement: replacement.into(), span }
    }

    fn schema(text: &str, changes: &[(&str, Genre, &str)]) -> Schema {
        let mutants: Vec<Mutant> = changes
            .iter()
            .map(|(needle, genre, replacement)| mutant(text, needle, *genre, replacement))
            .collect();
        let numbered: Vec<_> = mutants.iter().enumerate().collect();
        let schema = build(text, &numbered, &|name| name == "stays").unwrap();
        syn::parse_file(&schema.text).unwrap();
        for (range, id) in &schema.own {
            assert!(!schema.text[range.clone()].is_empty(), "{id}");
        }
        schema
    }

    fn short(schema: &Schema) -> String {
        schema.text.replace(SWITCH, "on")
    }

    #[test]
    fn nested_operators_choose_each_for_itself() {
        let text = "fn f(a: u8) -> bool { a + 1 < 2 }";
        let schema = schema(
            text,
            &[
                ("+", Genre::BinaryOperator, "-"),
                ("<", Genre::BinaryOperator, "=="),
                ("<", Genre::BinaryOperator, ">"),
            ],
        );
        assert_eq!(
            short(&schema),
            "fn f(a: u8) -> bool { (if on(1) { a + 1 == 2 } else if on(2) { a + 1 > 2 } else { \
             (if on(0) { a - 1 } else { a + 1 }) < 2 }) }"
        );
        assert_eq!(
            schema.choices.iter().map(|(_, ids)| ids.clone()).collect::<Vec<_>>(),
            [vec![0], vec![1, 2]]
        );
    }

    #[test]
    fn a_function_returns_early_and_an_operator_at_its_start_stays_inside() {
        let schema = schema(
            "const fn f(x: bool) -> bool { !x }",
            &[("!", Genre::FnValue, "true"), ("!", Genre::UnaryOperator, "")],
        );
        assert_eq!(
            short(&schema),
            " fn f(x: bool) -> bool { if on(0) { return true; } (if on(1) { x } else { !x }) }"
        );
        assert_eq!(schema.freed, ["f"]);
    }

    #[test]
    fn arms_and_guards_are_asked_for_in_one_guard() {
        let schema = schema(
            "fn f(x: u8) -> u8 { match x { 1 => 2, y if y == 3 => 4, _ => 5 } }",
            &[
                ("1 =>", Genre::MatchArm, ""),
                ("y if", Genre::MatchArm, ""),
                ("y ==", Genre::MatchArmGuard, "false"),
                ("y ==", Genre::MatchArmGuard, "true"),
                ("==", Genre::BinaryOperator, "!="),
            ],
        );
        assert_eq!(
            short(&schema),
            "fn f(x: u8) -> u8 { match x { 1 if !on(0) => 2, y if !on(1) && (on(3) || !on(2) && (\
             (if on(4) { y != 3 } else { y == 3 }))) => 4, _ => 5 } }"
        );
    }

    #[test]
    fn a_field_left_out_is_that_of_the_base() {
        let schema = schema(
            "fn f(a: u8) -> S { S { a, b: 2, ..S::new() } }",
            &[("a, b", Genre::StructField, ""), ("b: 2", Genre::StructField, "")],
        );
        assert_eq!(
            short(&schema),
            "fn f(a: u8) -> S { S { a: (if on(0) { (S::new()).a } else { a }), \
             b: (if on(1) { (S::new()).b } else { 2 }), ..S::new() } }"
        );
    }

    #[test]
    fn constants_and_chains_of_let_are_skipped() {
        let schema = schema(
            "const A: u8 = 1 + 2; const fn stays() -> u8 { 3 * 4 } fn f() -> bool { if let Some(x) = y() && x { 5 / 6 } else { z[..7 % 8] } }",
            &[
                ("+", Genre::BinaryOperator, "-"),
                ("*", Genre::BinaryOperator, "-"),
                ("&&", Genre::BinaryOperator, "||"),
                ("/", Genre::BinaryOperator, "-"),
                ("%", Genre::BinaryOperator, "-"),
            ],
        );
        assert_eq!(schema.held, [3, 4]);
    }
}
