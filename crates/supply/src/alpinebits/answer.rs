//! Answers in XML.

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use crate::alpinebits::{Action, Outcome, Problem, Version};

/// What the sender of a message gets back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The document.
    pub xml: String,
}

/// Returns the answer to a message of `action`. `echo` is what a handshake sends
/// back: what was asked, and what both sides can do.
#[must_use]
pub fn answer(
    action: Action,
    version: Version,
    outcome: &Outcome,
    echo: Option<(&str, &str)>,
) -> Answer {
    let mut writer = Writer::new(Vec::new());
    write(&mut writer, action, version, outcome, echo).expect("writing into memory does not fail");
    let xml = String::from_utf8(writer.into_inner()).expect("the writer writes text");
    Answer { xml }
}

type Out = Writer<Vec<u8>>;

fn write(
    out: &mut Out,
    action: Action,
    version: Version,
    outcome: &Outcome,
    echo: Option<(&str, &str)>,
) -> std::io::Result<()> {
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let name = format!("{}RS", action.stem(version));
    let root = out
        .create_element(name.as_str())
        .with_attribute(("xmlns", "http://www.opentravel.org/OTA/2003/05"))
        .with_attribute(("Version", "1.000"));
    root.write_inner_content(|out| match outcome {
        Outcome::Refused(problems) => errors(out, problems),
        Outcome::Taken { advice } => {
            out.create_element("Success").write_empty()?;
            warnings(out, advice, echo.map(|(_, both)| both))?;
            if let Some((asked, _)) = echo {
                let echo = out.create_element("EchoData");
                echo.write_text_content(BytesText::new(asked))?;
            }
            Ok(())
        }
    })?;
    Ok(())
}

fn errors(out: &mut Out, problems: &[Problem]) -> std::io::Result<()> {
    out.create_element("Errors").write_inner_content(|out| {
        for problem in problems {
            // 13: the application refuses (OTA list EWT).
            let mut error = out
                .create_element("Error")
                .with_attribute(("Type", "13"))
                .with_attribute(("Code", problem.code.to_string().as_str()));
            if let Some(status) = problem.status {
                error = error.with_attribute(("Status", status));
            }
            error.write_text_content(BytesText::new(&problem.text))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn warnings(out: &mut Out, advice: &[String], handshake: Option<&str>) -> std::io::Result<()> {
    if advice.is_empty() && handshake.is_none() {
        return Ok(());
    }
    out.create_element("Warnings").write_inner_content(|out| {
        if let Some(both) = handshake {
            out.create_element("Warning")
                .with_attribute(("Type", "11"))
                .with_attribute(("Status", "ALPINEBITS_HANDSHAKE"))
                .write_text_content(BytesText::new(both))?;
        }
        for text in advice {
            // 11: advisory (OTA list EWT).
            out.create_element("Warning")
                .with_attribute(("Type", "11"))
                .write_text_content(BytesText::new(text))?;
        }
        Ok(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_written_as_the_schema_has_them() {
        let taken = Outcome::Taken {
            advice: vec!["a < b".into()],
        };
        assert_eq!(
            answer(Action::FreeRooms, Version::V2024, &taken, None).xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OTA_HotelInvCountNotifRS \
             xmlns=\"http://www.opentravel.org/OTA/2003/05\" Version=\"1.000\"><Success/><Warnings>\
             <Warning Type=\"11\">a &lt; b</Warning></Warnings></OTA_HotelInvCountNotifRS>"
        );
        let refused = Outcome::Refused(vec![Problem::hotel("7<")]);
        assert_eq!(
            answer(Action::FreeRooms, Version::V2018, &refused, None).xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OTA_HotelAvailNotifRS \
             xmlns=\"http://www.opentravel.org/OTA/2003/05\" Version=\"1.000\"><Errors>\
             <Error Type=\"13\" Code=\"392\">there is no hotel `7&lt;` here</Error></Errors></OTA_HotelAvailNotifRS>"
        );
        let taken = Outcome::Taken { advice: vec![] };
        let xml = answer(
            Action::Handshake,
            Version::V2020,
            &taken,
            Some(("{}", "{\"versions\":[]}")),
        );
        assert!(
            xml.xml.ends_with(
                "<Success/><Warnings><Warning Type=\"11\" Status=\"ALPINEBITS_HANDSHAKE\">\
             {&quot;versions&quot;:[]}</Warning></Warnings><EchoData>{}</EchoData></OTA_PingRS>"
            ),
            "{}",
            xml.xml
        );
    }
}
