//! The fields and the length of messages to send, by the rules of [`thalweg_http`], where an error
//! can be returned to the application.

use std::io;

use thalweg::{KnownName, Status};
use thalweg_http::Method;
use thalweg_http::content::{Body, ContentError, Digits, LengthField, Plan, announced_length};
use thalweg_http::expect::without_expect;
use thalweg_http::repair::{Repair, Section};

use crate::fields::Fields;
use crate::trace;

/// Plans a response, and makes its `content-length` that of the plan.
///
/// # Errors
/// The application announced another length.
pub(crate) fn plan_response(
    method: Method,
    status: Status,
    body: Body,
    fields: &mut Fields,
) -> io::Result<Plan> {
    let plan = announced_length(fields.iter())
        .and_then(|announced| Plan::response(method, status, body, announced))
        .map_err(content_error)?;
    set_length(&plan, fields);
    Ok(plan)
}

/// Plans a request, and makes its `content-length` and `expect` those of the plan.
///
/// # Errors
/// The application announced another length, or the method permits no content.
pub(crate) fn plan_request(method: &str, body: Body, fields: &mut Fields) -> io::Result<Plan> {
    let method = Method::of(method.as_bytes());
    let plan = announced_length(fields.iter())
        .and_then(|announced| Plan::request(method, body, announced))
        .map_err(content_error)?;
    set_length(&plan, fields);
    if plan.ends_with_headers() && fields.known(KnownName::EXPECT).is_some() {
        *fields = without_expect(fields.iter()).collect();
    }
    Ok(plan)
}

fn set_length(plan: &Plan, fields: &mut Fields) {
    let is_announced = fields.known(KnownName::CONTENT_LENGTH).is_some();
    match plan.length_field() {
        LengthField::Keep => {}
        LengthField::Remove if !is_announced => {}
        LengthField::Set(len) if !is_announced => {
            fields.push("content-length", Digits::default().format(len));
        }
        LengthField::Remove | LengthField::Set(_) => {
            *fields = plan.fields(fields.iter(), &mut Digits::default()).collect();
        }
    }
}

/// Repairs fields where an RFC says how, and logs it.
pub(crate) fn repair(section: Section, fields: &mut Fields) {
    if let Some(repair) = Repair::outbound(section, fields.iter()) {
        trace::repaired(repair.report());
        *fields = repair.fields(fields.iter()).collect();
    }
}

/// Validates fields where the error can be returned to the handler.
pub(crate) fn check_fields(fields: &Fields) -> io::Result<()> {
    for field in fields.iter() {
        if let Err(violation) = thalweg::check_field(&field) {
            return Err(invalid(format!("field {:?}: {violation}", field.name().escape_ascii().to_string())));
        }
    }
    Ok(())
}

/// Returns the error for an application whose content differs from its headers.
pub(crate) fn content_error(error: ContentError) -> io::Error {
    let kind = match error {
        ContentError::TooShort { .. } => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidInput,
    };
    io::Error::new(kind, error)
}

pub(crate) fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(status: u16, body: Body, fields: &mut Fields) -> io::Result<Plan> {
        plan_response(Method::Get, Status::new(status).unwrap(), body, fields)
    }

    #[test]
    fn content_length_is_added_once_and_must_match() {
        let mut fields = Fields::new();
        planned(200, Body::of_len(12), &mut fields).unwrap();
        planned(200, Body::of_len(12), &mut fields).unwrap();
        assert_eq!(fields, Fields::from([("content-length", "12")]));
        let error = planned(200, Body::of_len(13), &mut fields).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "content-length is 12, the content has 13 bytes");
        planned(204, Body::EMPTY, &mut fields).unwrap();
        assert!(fields.is_empty());
    }

    #[test]
    fn a_request_expects_100_only_with_content() {
        let mut fields = Fields::from([("expect", "100-continue"), ("a", "b")]);
        plan_request("POST", Body::of_len(1), &mut fields).unwrap();
        assert_eq!(fields.len(), 3);
        plan_request("GET", Body::EMPTY, &mut Fields::new()).unwrap();
        let mut fields = Fields::from([("expect", "100-continue"), ("a", "b")]);
        plan_request("GET", Body::EMPTY, &mut fields).unwrap();
        assert_eq!(fields, Fields::from([("a", "b")]));
    }

    #[test]
    fn an_invalid_field_is_named_in_the_error() {
        check_fields(&Fields::from([("content-type", "text/plain")])).unwrap();
        for (name, value) in [("connection", "close"), ("x", "a\r\nb"), ("a b", ""), (":path", "/")] {
            let error = check_fields(&Fields::from([(name, value)])).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
