//! Visits what stands in a program.

use super::ir::{Expression, Statement, Target};

/// Something that stands in a program.
pub(super) enum Seen<'e> {
    Expression(&'e Expression),
    /// What decides which way a program goes.
    Test(&'e Expression),
}

/// Shows `see` everything in `body`, from the outside in.
pub(super) fn statements<'e>(body: &'e [Statement], see: &mut dyn FnMut(Seen<'e>)) {
    for statement in body {
        match statement {
            Statement::Do(value) | Statement::Return(value) => expression(value, see),
            Statement::Let { target, value, .. } => {
                if let Target::Place(place) = target {
                    expression(place, see);
                }
                expression(value, see);
            }
            Statement::Leave | Statement::Break => {}
            Statement::If {
                test,
                then,
                otherwise,
            } => {
                see(Seen::Test(test));
                expression(test, see);
                statements(then, see);
                statements(otherwise, see);
            }
            Statement::Repeat(body) | Statement::Block(body) => statements(body, see),
            Statement::OneOf(bodies) => bodies.iter().for_each(|body| statements(body, see)),
            Statement::Attempt {
                body,
                handlers,
                last,
            } => {
                statements(body, see);
                handlers.iter().for_each(|body| statements(body, see));
                statements(last, see);
            }
        }
    }
}

/// Shows `see` a value and everything in it.
pub(super) fn expression<'e>(value: &'e Expression, see: &mut dyn FnMut(Seen<'e>)) {
    see(Seen::Expression(value));
    match value {
        Expression::Nothing
        | Expression::Text(_)
        | Expression::Name(_)
        | Expression::Function(_) => {}
        Expression::Member(object, _) => expression(object, see),
        Expression::Index(object, index) => {
            expression(object, see);
            expression(index, see);
        }
        Expression::Call(call) => {
            expression(&call.callee, see);
            call.arguments
                .iter()
                .for_each(|one| expression(&one.value, see));
        }
        Expression::Join(parts)
        | Expression::Items(parts)
        | Expression::Either(parts)
        | Expression::Mix(parts) => parts.iter().for_each(|part| expression(part, see)),
        Expression::Fields(fields) => fields.iter().for_each(|(_, field)| expression(field, see)),
        Expression::Test(test) => {
            see(Seen::Test(value));
            test.of.iter().for_each(|part| expression(part, see));
        }
        Expression::Bind(bind) => expression(&bind.1, see),
        Expression::Block(body) => match body.as_slice() {
            // A value that is one of two decides nothing else.
            [
                Statement::If {
                    test,
                    then,
                    otherwise,
                },
            ] if matches!(
                (then.as_slice(), otherwise.as_slice()),
                ([Statement::Return(_)], [Statement::Return(_)])
            ) =>
            {
                expression(test, see);
                statements(then, see);
                statements(otherwise, see);
            }
            body => statements(body, see),
        },
    }
}
