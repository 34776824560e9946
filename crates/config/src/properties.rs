//! The file of a hotel group's own hotels.

use airside_travel::house::{File, Houses, Wrong};

use crate::{
    config::{Config, Hotels},
    load::read_text,
    problem::Problem,
    source::{Source, Step},
    travel::SupplyKind,
};

/// Reads the file that `travel.properties` names; adds what is wrong with it to `list`.
pub(super) fn read(
    source: &Source,
    config: &Config,
    list: &mut Vec<Problem>,
) -> (Option<Source>, Houses) {
    let none = (None, Houses::default());
    let path = [Step::Key("travel"), Step::Key("properties")];
    let is_own = config.travel.supply.kind == SupplyKind::Own;
    let Some(file) = &config.travel.properties else {
        if config.travel.hotels == Hotels::None && is_own {
            list.push(Problem::at(
                source,
                &[Step::Key("travel"), Step::Key("hotels")],
                "TRV-330",
                "there are no hotels at all".to_owned(),
                "name a file of hotels with `travel.properties`, or choose another size",
            ));
        }
        return none;
    };
    if !is_own {
        list.push(Problem::at(
            source,
            &path,
            "TRV-330",
            "hotels of a file are sold from our own inventory, not by a supplier".to_owned(),
            "remove `properties`, or `[travel.supply]`",
        ));
        return none;
    }
    let text = match read_text(file) {
        Ok(text) => text,
        Err(error) => {
            let mut problem = Problem::unreadable(file, &error);
            problem.place = Some(source.place(&source.span(&path)));
            list.push(problem);
            return none;
        }
    };
    let hotels = Source {
        path: file.clone(),
        text,
    };
    if let Err(error) = toml::de::DeTable::parse(&hotels.text) {
        list.push(Problem::from_syntax(&hotels, &error));
        return none;
    }
    let file: File = match toml::from_str(&hotels.text) {
        Ok(file) => file,
        Err(error) => {
            list.push(Problem::from_value(&hotels, &error));
            return none;
        }
    };
    match Houses::read(&file, &hotels.text) {
        Ok(houses) => {
            if houses.ask_for_payment() && config.travel.payments.is_none() {
                list.push(Problem::at(
                    source,
                    &path,
                    "TRV-331",
                    "a rate asks for payment before booking, and nobody takes payments".to_owned(),
                    "set [travel.payments], or leave `payment` out of the rate plans",
                ));
            }
            (Some(hotels), houses)
        }
        Err(wrong) => {
            list.extend(wrong.iter().map(|wrong| problem(&hotels, wrong)));
            none
        }
    }
}

fn problem(hotels: &Source, wrong: &Wrong) -> Problem {
    let mut path = vec![Step::Key("hotel"), Step::Index(wrong.hotel)];
    if let Some((list, at)) = wrong.part {
        path.extend([Step::Key(list), Step::Index(at)]);
    }
    path.push(Step::Key(wrong.key));
    let message = format!("`{}` cannot be used: {}", wrong.key, wrong.why);
    let hint = "see docs/hotels.md for what a hotel has";
    Problem::at(hotels, &path, "TRV-330", message, hint)
}
