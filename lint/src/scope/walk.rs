//! The walk that finds what names mean.

use super::{Local, LocalId, Origin, Scopes, Use, Value};
use crate::syntax::tree::{
    Action, Binary, Block, ExpressionId, FunctionId, MAIN, Name, Shape, Statement, Tree, Unary,
};
use std::collections::HashMap;

/// What hides behind the locals of a block, to be put back at its end.
type Hidden<'s> = Vec<(&'s str, Option<LocalId>)>;

pub(super) struct Walk<'t, 's> {
    tree: &'t Tree<'s>,
    scopes: Scopes<'s>,
    /// What each name means now.
    visible: HashMap<&'s str, LocalId>,
    hidden: Vec<Hidden<'s>>,
    function: FunctionId,
    block: u32,
    blocks: u32,
    /// Where the statement's first name stands that declares locals.
    statement: usize,
}

impl<'t, 's> Walk<'t, 's> {
    pub(super) fn new(tree: &'t Tree<'s>) -> Self {
        let scopes = Scopes {
            local_of: vec![None; tree.expressions.len()],
            function_of: vec![MAIN; tree.expressions.len()],
            around: vec![MAIN; tree.functions.len()],
            ..Scopes::default()
        };
        Self {
            tree,
            scopes,
            visible: HashMap::new(),
            hidden: Vec::new(),
            function: MAIN,
            block: 0,
            blocks: 0,
            statement: 0,
        }
    }

    pub(super) fn run(mut self) -> Scopes<'s> {
        let tree = self.tree;
        if let Some(main) = tree.function(MAIN) {
            self.block(&main.body, &[]);
        }
        self.scopes
    }

    // Scopes

    fn open(&mut self) -> u32 {
        self.hidden.push(Hidden::new());
        self.blocks += 1;
        std::mem::replace(&mut self.block, self.blocks)
    }

    fn close(&mut self, around: u32) {
        for (name, before) in self.hidden.pop().unwrap_or_default().into_iter().rev() {
            match before {
                Some(before) => self.visible.insert(name, before),
                None => self.visible.remove(name),
            };
        }
        self.block = around;
    }

    fn declare(&mut self, name: Name<'s>, origin: Origin, value: Value) {
        let Ok(place) = u32::try_from(self.scopes.locals.len()) else {
            return;
        };
        let id = LocalId(place);
        if origin == Origin::Parameter {
            self.scopes.parameters.insert(name.span.start, id);
        }
        let before = self.visible.insert(name.text, id);
        if let Some(hidden) = self.hidden.last_mut() {
            hidden.push((name.text, before));
        }
        self.scopes.locals.push(Local {
            name,
            origin,
            function: self.function,
            block: self.block,
            statement: self.statement,
            reads: Vec::new(),
            values: vec![value],
            writes: Vec::new(),
            hides: before,
        });
    }

    fn at(&mut self, id: ExpressionId) {
        if let Some(place) = self.scopes.function_of.get_mut(id.0 as usize) {
            *place = self.function;
        }
    }

    /// A name is used; `value` if it is written.
    fn name(&mut self, id: ExpressionId, name: &'s str, value: Option<Value>) {
        self.at(id);
        if let Some(&local) = self.visible.get(name) {
            if let Some(place) = self.scopes.local_of.get_mut(id.0 as usize) {
                *place = Some(local);
            }
            if let Some(local) = self.scopes.locals.get_mut(local.0 as usize) {
                match value {
                    Some(value) => {
                        local.values.push(value);
                        local.writes.push(id);
                    }
                    None => local.reads.push(id),
                }
            }
            return;
        }
        let place = Use {
            expression: id,
            function: self.function,
        };
        let global = self.scopes.globals.entry(name).or_default();
        match value {
            Some(value) => global.writes.push((place, value)),
            None => global.reads.push(place),
        }
    }

    // Statements

    /// A block with a scope of its own; first, the names that are declared for it.
    fn block(&mut self, block: &'t Block<'s>, names: &[(Name<'s>, Origin, Value)]) {
        let around = self.open();
        for (name, origin, value) in names {
            self.declare(*name, *origin, *value);
        }
        for statement in &block.statements {
            self.statement(statement);
        }
        self.close(around);
    }

    fn statement(&mut self, statement: &'t Statement<'s>) {
        match &statement.action {
            Action::Local {
                names,
                values,
                attribute,
            } => {
                self.expressions(values);
                self.statement = names.first().map_or(0, |name| name.span.start);
                let origin = if *attribute {
                    Origin::Attribute
                } else {
                    Origin::Variable
                };
                for (place, name) in names.iter().enumerate() {
                    self.declare(*name, origin, self.value_at(values, place));
                }
            }
            Action::Assign { targets, values } => {
                self.expressions(values);
                for (place, target) in targets.iter().enumerate() {
                    let value = self.value_at(values, place);
                    self.target(*target, value);
                }
            }
            Action::Call(call) => {
                self.scopes.statement_calls.insert(*call);
                self.expression(*call);
            }
            Action::Do(body) => self.block(body, &[]),
            Action::While(condition, body) => {
                self.condition(*condition);
                self.block(body, &[]);
            }
            Action::Repeat(body, condition) => {
                let around = self.open();
                for statement in &body.statements {
                    self.statement(statement);
                }
                self.condition(*condition);
                self.close(around);
            }
            Action::If { arms, otherwise } => {
                for (condition, body) in arms {
                    self.condition(*condition);
                    self.block(body, &[]);
                }
                if let Some(body) = otherwise {
                    self.block(body, &[]);
                }
            }
            Action::NumericFor { name, range, body } => {
                self.expressions(range);
                self.block(body, &[(*name, Origin::Loop, Value::Number)]);
            }
            Action::GenericFor {
                names,
                values,
                body,
            } => {
                self.expressions(values);
                let variable = |name: &Name<'s>| (*name, Origin::Loop, Value::Unknown);
                let names: Vec<_> = names.iter().map(variable).collect();
                self.block(body, &names);
            }
            Action::Function { target, function } => {
                self.target(*target, Value::Function(*function));
                self.function(*function);
            }
            Action::LocalFunction { name, function } => {
                self.statement = name.span.start;
                self.declare(*name, Origin::Function, Value::Function(*function));
                self.function(*function);
            }
            Action::Return(values) => self.expressions(values),
            Action::Break | Action::Goto | Action::Label => {}
        }
    }

    /// What the name at a place of an assignment gets.
    fn value_at(&self, values: &[ExpressionId], place: usize) -> Value {
        match values.split_last() {
            None => Value::Nothing,
            Some((last, before)) if place >= before.len() => {
                let result = place - before.len();
                match self.tree.shape(*last) {
                    Shape::Call { .. } | Shape::Method { .. } | Shape::Vararg if result > 0 => {
                        Value::Result(*last, result)
                    }
                    Shape::Function(function) if result == 0 => Value::Function(*function),
                    _ if result == 0 => Value::Expression(*last),
                    _ => Value::Nothing,
                }
            }
            Some((_, before)) => match before.get(place) {
                Some(value) => match self.tree.shape(*value) {
                    Shape::Function(function) => Value::Function(*function),
                    _ => Value::Expression(*value),
                },
                None => Value::Unknown,
            },
        }
    }

    fn target(&mut self, target: ExpressionId, value: Value) {
        match self.tree.shape(target) {
            Shape::Name(name) => self.name(target, name, Some(value)),
            Shape::Index { object, key } => {
                self.at(target);
                self.expression(*object);
                self.expression(*key);
                self.scopes.field_writes.push((target, value));
            }
            _ => self.expression(target),
        }
    }

    fn function(&mut self, id: FunctionId) {
        let tree = self.tree;
        let Some(function) = tree.function(id) else {
            return;
        };
        if let Some(around) = self.scopes.around.get_mut(id.0 as usize) {
            *around = self.function;
        }
        let outer = std::mem::replace(&mut self.function, id);
        let parameter = |name: &Name<'s>| (*name, Origin::Parameter, Value::Unknown);
        let parameters: Vec<_> = function.parameters.iter().map(parameter).collect();
        self.block(&function.body, &parameters);
        self.function = outer;
    }

    // Expressions

    fn expressions(&mut self, expressions: &[ExpressionId]) {
        for id in expressions {
            self.expression(*id);
        }
    }

    fn condition(&mut self, id: ExpressionId) {
        self.look_at(id);
        self.expression(id);
    }

    /// Operands whose value is only looked at: whether it is nil, or as what decides for another value.
    fn look_at_operands(
        &mut self,
        id: ExpressionId,
        operator: Binary,
        left: ExpressionId,
        right: ExpressionId,
    ) {
        let is_nil = |id| matches!(self.tree.shape(id), Shape::Nil);
        let is_looked_at = self.scopes.looked_at.contains(&id);
        match operator {
            Binary::And | Binary::Or => {
                self.look_at(left);
                // `table.unpack or unpack`
                if is_looked_at
                    || operator == Binary::Or && self.last_name(left) == self.last_name(right)
                {
                    self.look_at(right);
                }
            }
            Binary::Equality if is_nil(right) => self.look_at(left),
            Binary::Equality if is_nil(left) => self.look_at(right),
            _ => {}
        }
    }

    /// The name of a variable or field.
    fn last_name(&self, id: ExpressionId) -> Option<&[u8]> {
        match self.tree.shape(id) {
            Shape::Name(name) => Some(name.as_bytes()),
            Shape::Index { key, .. } => self.tree.text(*key),
            _ => None,
        }
    }

    fn look_at(&mut self, id: ExpressionId) {
        self.scopes.looked_at.insert(id);
        let bare = self.tree.bare(id);
        self.scopes.looked_at.insert(bare);
    }

    fn expression(&mut self, id: ExpressionId) {
        self.at(id);
        let tree = self.tree;
        match tree.shape(id) {
            Shape::Nil
            | Shape::Boolean(_)
            | Shape::Vararg
            | Shape::Integer(_)
            | Shape::Float(_)
            | Shape::Text(_) => {}
            Shape::Name(name) => self.name(id, name, None),
            Shape::Index { object, key } => {
                self.expression(*object);
                self.expression(*key);
            }
            Shape::Call { callee, arguments } => {
                self.expression(*callee);
                let looks = matches!(
                    tree.shape(*callee),
                    Shape::Name("type" | "tostring" | "pcall")
                );
                for argument in arguments {
                    if looks {
                        self.look_at(*argument);
                    }
                    self.expression(*argument);
                }
            }
            Shape::Method {
                object, arguments, ..
            } => {
                self.expression(*object);
                self.expressions(arguments);
            }
            Shape::Function(function) => self.function(*function),
            Shape::Binary {
                operator,
                left,
                right,
            } => {
                self.look_at_operands(id, *operator, *left, *right);
                self.expression(*left);
                self.expression(*right);
            }
            Shape::Unary { operator, operand } => {
                if *operator == Unary::Not {
                    self.look_at(*operand);
                }
                self.expression(*operand);
            }
            Shape::Parentheses(inner) => self.expression(*inner),
            Shape::Table(fields) => {
                for field in fields {
                    if let Some(key) = field.key {
                        self.expression(key);
                    }
                    self.expression(field.value);
                }
            }
        }
    }
}
