//! What values may be, as far as a module says by itself. What is not known is anything: so what is found here to be of no
//! fitting kind fails whenever it is reached.

mod flow;
mod streams;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

pub(crate) use flow::{Exit, Flow};
use streams::Begun;

use crate::model::kinds::Kinds;
use crate::model::{self, Entry, Signature};
use crate::scope::{Local, Origin, Scopes, Value};
use crate::syntax::number;
use crate::syntax::tree::{Binary, ExpressionId, FunctionId, MAIN, Shape, Span, Tree, Unary};

/// How deep one value leads to another at most; beyond, nothing is known.
const MOST_STEPS: u32 = 300;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    No,
    /// Being found out; who asks again meanwhile learns nothing.
    Busy,
    Yes(Kinds),
}

/// A module with what is known of it.
#[derive(Debug)]
pub(crate) struct Facts<'t, 's> {
    /// The module.
    pub(crate) tree: &'t Tree<'s>,
    /// What its names mean.
    pub(crate) scopes: &'t Scopes<'s>,
    /// What each expression is an operand of.
    parents: Vec<Option<ExpressionId>>,
    kinds: RefCell<Vec<Known>>,
    results: RefCell<Vec<Known>>,
    locals: RefCell<Vec<Known>>,
    /// Globals of the module itself. What a call does to one of the server's is no definition of it.
    own: HashSet<&'s str>,
    /// Functions that are declared as globals which the module itself does not use: clients call them.
    for_clients: HashSet<FunctionId>,
    /// Parameters that get the records of a stream.
    of_streams: HashSet<Span>,
    /// Parameters that get what an aggregation of a stream has so far.
    aggregated: HashMap<Span, Begun>,
    steps: Cell<u32>,
}

impl<'t, 's> Facts<'t, 's> {
    /// Nothing is known yet.
    #[must_use]
    pub(crate) fn new(tree: &'t Tree<'s>, scopes: &'t Scopes<'s>) -> Self {
        Self {
            tree,
            scopes,
            parents: parents(tree),
            kinds: RefCell::new(vec![Known::No; tree.expressions.len()]),
            results: RefCell::new(vec![Known::No; tree.functions.len()]),
            locals: RefCell::new(vec![Known::No; scopes.locals.len()]),
            own: scopes
                .globals
                .iter()
                .filter(|(name, global)| {
                    let mut writes = global.writes.iter();
                    global.is_written()
                        && (model::find(name).is_none()
                            || writes.any(|(place, _)| place.function == MAIN))
                })
                .map(|(name, _)| *name)
                .collect(),
            for_clients: scopes
                .globals
                .values()
                .filter(|global| global.reads.is_empty())
                .flat_map(|global| global.functions().map(|(_, function)| function))
                .collect(),
            of_streams: streams::record_parameters(tree, scopes),
            aggregated: streams::aggregated(tree, scopes),
            steps: Cell::new(0),
        }
    }

    /// What an expression is an operand, a field, a callee or an argument of; none if a statement has it.
    #[must_use]
    pub(crate) fn parent(&self, id: ExpressionId) -> Option<ExpressionId> {
        self.parents.get(id.0 as usize).copied().flatten()
    }

    /// Whether it is called.
    #[must_use]
    pub(crate) fn is_callee(&self, id: ExpressionId) -> bool {
        let call = self.parent(id).map(|parent| self.tree.shape(parent));
        matches!(call, Some(Shape::Call { callee, .. }) if *callee == id)
    }

    /// The field that is taken of it, if one is.
    #[must_use]
    pub(crate) fn field_of(&self, id: ExpressionId) -> Option<ExpressionId> {
        let parent = self.parent(id)?;
        matches!(self.tree.shape(parent), Shape::Index { object, .. } if *object == id)
            .then_some(parent)
    }

    /// What the value of an expression may be.
    #[must_use]
    pub(crate) fn kinds(&self, id: ExpressionId) -> Kinds {
        self.once(&self.kinds, id.0, || self.find(id))
    }

    /// What a function may give first.
    #[must_use]
    pub(crate) fn result(&self, function: FunctionId) -> Kinds {
        self.once(&self.results, function.0, || {
            let Some(found) = self.tree.function(function) else {
                return Kinds::ANY;
            };
            let mut kinds = Kinds::empty();
            for exit in Flow::of(self, &found.body).exits {
                kinds |= match exit {
                    Exit::End => Kinds::NIL,
                    Exit::Return(values) => match values.first() {
                        None => Kinds::NIL,
                        Some(first) => self.kinds(*first),
                    },
                };
            }
            kinds
        })
    }

    fn once(&self, of: &RefCell<Vec<Known>>, place: u32, find: impl FnOnce() -> Kinds) -> Kinds {
        let place = place as usize;
        let known = of.borrow().get(place).copied().unwrap_or(Known::Busy);
        match known {
            Known::Yes(kinds) => return kinds,
            Known::Busy => return Kinds::ANY,
            Known::No => {}
        }
        if self.steps.get() >= MOST_STEPS {
            return Kinds::ANY;
        }
        let note = |known| {
            if let Some(slot) = of.borrow_mut().get_mut(place) {
                *slot = known;
            }
        };
        note(Known::Busy);
        self.steps.set(self.steps.get() + 1);
        let kinds = find();
        self.steps.set(self.steps.get() - 1);
        note(Known::Yes(kinds));
        kinds
    }

    fn find(&self, id: ExpressionId) -> Kinds {
        match self.tree.shape(id) {
            Shape::Nil => Kinds::NIL,
            Shape::Boolean(_) => Kinds::BOOLEAN,
            Shape::Vararg => Kinds::ANY,
            Shape::Integer(_) => Kinds::INTEGER,
            Shape::Float(_) => Kinds::FLOAT,
            Shape::Text(_) => Kinds::TEXT,
            Shape::Table(_) => Kinds::TABLE,
            Shape::Function(_) => Kinds::FUNCTION,
            Shape::Parentheses(inner) => self.kinds(*inner),
            Shape::Name(name) => self.variable(id, name),
            Shape::Index { .. } => self.field(id),
            Shape::Call { .. } | Shape::Method { .. } => self.call(id, 0),
            Shape::Unary { operator, operand } => match operator {
                Unary::Not => Kinds::BOOLEAN,
                Unary::Length => Kinds::INTEGER,
                Unary::BitwiseNot => self.arithmetic(&[*operand], Kinds::INTEGER),
                Unary::Minus => self.arithmetic(&[*operand], Kinds::NUMBER),
            },
            Shape::Binary {
                operator,
                left,
                right,
            } => self.operation(*operator, *left, *right),
        }
    }

    fn operation(&self, operator: Binary, left: ExpressionId, right: ExpressionId) -> Kinds {
        let falsy = Kinds::NIL | Kinds::BOOLEAN;
        match operator {
            Binary::Arithmetic | Binary::Division => self.arithmetic(&[left, right], Kinds::NUMBER),
            Binary::Fraction => self.arithmetic(&[left, right], Kinds::FLOAT),
            Binary::Bitwise => self.arithmetic(&[left, right], Kinds::INTEGER),
            Binary::Concat => self.arithmetic(&[left, right], Kinds::TEXT),
            Binary::Equality | Binary::Order => Kinds::BOOLEAN,
            Binary::And => match self.tree.shape(left) {
                Shape::Boolean(true) => self.kinds(right),
                _ => self.kinds(left).intersection(falsy) | self.kinds(right),
            },
            Binary::Or => match self.tree.shape(self.tree.bare(left)) {
                Shape::Boolean(true) => Kinds::BOOLEAN,
                _ => {
                    let truthy = self.kinds(left).difference(Kinds::NIL);
                    // `a and b or c`, and `x == nil or c`: false passes only where it may be.
                    truthy | self.kinds(right)
                }
            },
        }
    }

    /// The result of an operator that tables may have as a metamethod.
    fn arithmetic(&self, operands: &[ExpressionId], result: Kinds) -> Kinds {
        let all = operands.iter().map(|id| self.kinds(*id));
        let all = all.fold(Kinds::empty(), Kinds::union);
        if !all.is_any() && all.intersects(Kinds::TABLE) {
            Kinds::ANY
        } else if result == Kinds::NUMBER && all == Kinds::INTEGER {
            Kinds::INTEGER
        } else {
            result
        }
    }

    fn variable(&self, id: ExpressionId, name: &str) -> Kinds {
        if let Some(local) = self.scopes.local_of(id) {
            return self.once(&self.locals, local.0, || match self.scopes.local(local) {
                Some(found) if found.values == [Value::Unknown] && self.is_record(found) => {
                    Kinds::RECORD
                }
                Some(found) if found.values == [Value::Unknown] => self.begun(found),
                Some(found) => self.values(found.values.iter().copied()),
                None => Kinds::ANY,
            });
        }
        if self.is_own(name) {
            return Kinds::ANY;
        }
        match model::find(name) {
            Some(Entry::Function(_)) => Kinds::FUNCTION,
            Some(Entry::Callable(_) | Entry::Library) => Kinds::TABLE,
            Some(Entry::Value(kinds)) => *kinds,
            // Some other module may define it.
            None => Kinds::ANY,
        }
    }

    /// Whether a parameter is a record: it gets those of a stream, is passed where only records may be, or is the first of a
    /// function that clients call and has the name that everybody gives to it.
    fn is_record(&self, local: &Local<'_>) -> bool {
        if local.origin != Origin::Parameter {
            return false;
        }
        if self.of_streams.contains(&local.name.span) {
            return true;
        }
        let is_passed = |read: &ExpressionId| {
            let Some(call) = self.parent(*read) else {
                return false;
            };
            match self.tree.shape(call) {
                Shape::Method {
                    object,
                    name,
                    arguments,
                    ..
                } => {
                    arguments.first() == Some(read)
                        && matches!(name.text, "exists" | "create" | "update" | "remove")
                        && self.path(*object).as_deref() == Some("aerospike")
                }
                Shape::Call { callee, arguments } => {
                    arguments.first() == Some(read)
                        && self
                            .path(*callee)
                            .is_some_and(|path| path.starts_with("record."))
                }
                _ => false,
            }
        };
        if local.reads.iter().any(is_passed) {
            return true;
        }
        let is_first = |id: FunctionId| {
            let first = self
                .tree
                .function(id)
                .and_then(|function| function.parameters.first());
            first.is_some_and(|first| first.span == local.name.span)
        };
        matches!(local.name.text, "rec" | "record")
            && is_first(local.function)
            && self.for_clients.contains(&local.function)
    }

    fn values(&self, values: impl Iterator<Item = Value>) -> Kinds {
        let mut kinds = Kinds::empty();
        for value in values {
            kinds |= self.value(value);
            if kinds.is_any() {
                break;
            }
        }
        kinds
    }

    /// What an assigned value may be.
    #[must_use]
    pub(crate) fn value(&self, value: Value) -> Kinds {
        match value {
            Value::Expression(id) => self.kinds(id),
            Value::Result(call, place) => self.call(call, place),
            Value::Function(_) => Kinds::FUNCTION,
            Value::Nothing => Kinds::NIL,
            Value::Number => Kinds::NUMBER,
            Value::Unknown => Kinds::ANY,
        }
    }

    fn field(&self, id: ExpressionId) -> Kinds {
        let Some(path) = self.path(id) else {
            return Kinds::ANY;
        };
        match model::find(&path) {
            Some(Entry::Value(kinds)) => *kinds,
            Some(Entry::Function(_) | Entry::Callable(_)) => Kinds::FUNCTION,
            Some(Entry::Library) | None => Kinds::ANY,
        }
    }

    /// Whether a global is the module's own.
    fn is_own(&self, name: &str) -> bool {
        self.own.contains(name)
    }

    /// The path of a global that the module does not define itself, or of a field of a library: `print`, `list.append`.
    /// Locals that stand for such a thing (`local append = list.append`) have its path.
    #[must_use]
    pub(crate) fn path(&self, id: ExpressionId) -> Option<String> {
        self.path_within(id, 0)
    }

    fn path_within(&self, id: ExpressionId, steps: u32) -> Option<String> {
        if steps > 8 {
            return None;
        }
        match self.tree.shape(self.tree.bare(id)) {
            Shape::Name(name) => {
                let Some(local) = self.scopes.local_of(id) else {
                    return (!self.is_own(name)).then(|| (*name).to_owned());
                };
                let [Value::Expression(value)] = self.scopes.local(local)?.values.as_slice() else {
                    return None;
                };
                match self.tree.shape(*value) {
                    Shape::Name(_) | Shape::Index { .. } => self.path_within(*value, steps + 1),
                    _ => None,
                }
            }
            Shape::Index { object, key } => {
                let library = self.path_within(*object, steps + 1)?;
                let library = library.strip_prefix("_G.").unwrap_or(&library);
                let key = std::str::from_utf8(self.tree.text(*key)?).ok()?;
                if library.contains('.') {
                    return None;
                }
                Some(format!("{library}.{key}"))
            }
            _ => None,
        }
    }

    /// The signature of Aerospike's or Lua's that a call has, and whether what stands before a colon is its first argument.
    #[must_use]
    pub(crate) fn signature(&self, call: ExpressionId) -> Option<(&'static Signature, bool)> {
        match self.tree.shape(call) {
            Shape::Call { callee, .. } => {
                let path = self.path(*callee)?;
                let found = model::signature(&path)?;
                Some((found, false))
            }
            Shape::Method { object, name, .. } => {
                let kinds = self.kinds(*object);
                if kinds == Kinds::AEROSPIKE {
                    Some((
                        model::signature(&format!("aerospike:{}", name.text))?,
                        false,
                    ))
                } else if kinds == Kinds::TEXT {
                    Some((model::signature(&format!("string.{}", name.text))?, true))
                } else if kinds == Kinds::ITERATOR {
                    Some((model::signature(&format!("iterator.{}", name.text))?, true))
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    /// A result of a call, counted from 0.
    fn call(&self, id: ExpressionId, place: usize) -> Kinds {
        if let Some((signature, _)) = self.signature(id) {
            return signature.result(place);
        }
        if place == 0
            && let Shape::Call { callee, .. } = self.tree.shape(id)
            && let Some(function) = self.function(*callee)
        {
            return self.result(function);
        }
        Kinds::ANY
    }

    /// The function of the module that an expression surely means.
    #[must_use]
    pub(crate) fn function(&self, id: ExpressionId) -> Option<FunctionId> {
        match self.tree.shape(self.tree.bare(id)) {
            Shape::Function(function) => Some(*function),
            Shape::Name(name) => match self.scopes.local_of(id) {
                Some(local) => match self.scopes.local(local)?.values.as_slice() {
                    [Value::Function(function)] | [Value::Nothing, Value::Function(function)] => {
                        Some(*function)
                    }
                    _ => None,
                },
                None => match self.scopes.globals.get(name)?.writes.as_slice() {
                    [(_, Value::Function(function))] => Some(*function),
                    _ => None,
                },
            },
            _ => None,
        }
    }

    /// The string that an expression surely is: a constant, or a local that is one and nothing else.
    #[must_use]
    pub(crate) fn constant_text(&self, id: ExpressionId) -> Option<&'t [u8]> {
        let id = self.tree.bare(id);
        if let Some(text) = self.tree.text(id) {
            return Some(text);
        }
        match self
            .scopes
            .local(self.scopes.local_of(id)?)?
            .values
            .as_slice()
        {
            [Value::Expression(value)] => self.tree.text(self.tree.bare(*value)),
            _ => None,
        }
    }

    /// Whether an expression is a string that spells no number.
    #[must_use]
    pub(crate) fn is_text_of_no_number(&self, id: ExpressionId) -> bool {
        self.tree
            .text(self.tree.bare(id))
            .is_some_and(|text| number::of_string(text).is_none())
    }
}

/// What each expression is an operand of.
fn parents(tree: &Tree<'_>) -> Vec<Option<ExpressionId>> {
    let mut parents = vec![None; tree.expressions.len()];
    for (id, expression) in tree.all() {
        let mut note = |child: ExpressionId| {
            if let Some(parent) = parents.get_mut(child.0 as usize) {
                *parent = Some(id);
            }
        };
        match &expression.shape {
            Shape::Index { object, key } => {
                note(*object);
                note(*key);
            }
            Shape::Call { callee, arguments } => {
                note(*callee);
                arguments.iter().copied().for_each(note);
            }
            Shape::Method {
                object, arguments, ..
            } => {
                note(*object);
                arguments.iter().copied().for_each(note);
            }
            Shape::Binary { left, right, .. } => {
                note(*left);
                note(*right);
            }
            Shape::Unary { operand, .. } => note(*operand),
            Shape::Parentheses(inner) => note(*inner),
            Shape::Table(fields) => {
                for field in fields {
                    note(field.value);
                    field.key.into_iter().for_each(&mut note);
                }
            }
            _ => {}
        }
    }
    parents
}
