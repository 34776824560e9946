use super::*;
use crate::trace::Turn;

fn conversation() -> Trace {
    Trace {
        turns: vec![Turn {
            asked: "What does it cost?".to_owned(),
            steps: vec![Step::Said("It is 210 USD\n in total.".to_owned())],
            ..Turn::default()
        }],
        ..Trace::default()
    }
}

/// Reads an answer of a judge about a conversation.
#[track_caller]
fn check(answer: &str, expected: Result<Opinion, &str>) {
    let reply = Reply {
        text: answer.to_owned(),
        ..Reply::default()
    };
    let found = read(&reply, &shown(&conversation())).map(|(opinion, _)| opinion);
    assert_eq!(found, expected, "{answer}");
}

#[test]
fn answers_are_read_strictly() {
    use Opinion::{Met, NotMet, Unclear};
    let not = Err("its answer is not the one JSON object that was asked for");
    check(
        r#"{"verdict": "met", "quote": "210 USD in total"}"#,
        Ok(Met),
    );
    check(r#" {"verdict":"not-met","quote":""} "#, Ok(NotMet));
    check(r#"{"verdict":"unclear","quote":""}"#, Ok(Unclear));
    check(
        r#"{"verdict":"met","quote":""}"#,
        Err("it quotes nothing that shows what it says"),
    );
    check(
        r#"{"verdict":"met","quote":"free of charge"}"#,
        Err("it quotes what is not in the conversation"),
    );
    check(r#"{"verdict":"passed","quote":"total"}"#, not);
    check(r#"{"verdict":"met","quote":"total","score":5}"#, not);
    check(r#"{"verdict":"met"}"#, not);
    check(
        "```json\n{\"verdict\":\"met\",\"quote\":\"total\"}\n```",
        not,
    );
    check("Yes, it is met.", not);
    check("", not);
}

fn settings(model: &str) -> Settings {
    Settings {
        model: model.to_owned(),
        api: Api::OpenaiChat,
        params: Map::new(),
        votes: 1,
        price_in: 0.0,
        price_out: 0.0,
    }
}

/// The standing of a judge with so many labels of each kind, and so many that it took
/// for the other.
fn standing(met: usize, not_met: usize, wrong: usize, of: &str) -> Standing {
    let label = |number: usize| match number < met {
        true => (Opinion::Met, Opinion::NotMet),
        false => (Opinion::NotMet, Opinion::Met),
    };
    let pair = |number: usize| {
        let (label, other) = label(number);
        (label, Some(if number < wrong { other } else { label }))
    };
    let calibration = Calibration {
        judge: settings(of).digest(),
        pairs: (0..met + not_met).map(pair).collect(),
    };
    Standing::of(&settings("m"), Some(&calibration))
}

#[test]
fn a_judge_is_calibrated_by_enough_labels_that_it_agrees_with() {
    let good = standing(20, 20, 1, "m");
    assert!(good.is_calibrated, "{good:?}");
    assert!(!standing(10, 10, 0, "m").is_calibrated, "too few");
    assert!(!standing(40, 0, 0, "m").is_calibrated, "all the same");
    assert!(!standing(20, 20, 0, "other").is_calibrated, "another judge");
    let poor = standing(20, 20, 8, "m");
    assert!(!poor.is_calibrated, "{poor:?}");
    assert!(!Standing::of(&settings("m"), None).is_calibrated);
}

#[test]
fn kappa_is_the_published_one() {
    // Cohen's own table in small: 45 and 15 against 25 and 15 of a hundred.
    let pairs = [
        (Opinion::Met, Opinion::Met, 45),
        (Opinion::Met, Opinion::NotMet, 15),
        (Opinion::NotMet, Opinion::Met, 25),
        (Opinion::NotMet, Opinion::NotMet, 15),
    ];
    let pairs = pairs
        .iter()
        .flat_map(|(label, said, times)| std::iter::repeat_n((*label, Some(*said)), *times));
    let calibration = Calibration {
        judge: String::new(),
        pairs: pairs.collect(),
    };
    let kappa = Standing::of(&settings("m"), Some(&calibration))
        .kappa
        .unwrap();
    assert!((kappa.at - 0.1304).abs() < 1e-4, "{kappa:?}");
    assert!(kappa.low < kappa.at && kappa.at < kappa.high);
}

#[test]
fn opinions_of_a_judge_that_is_not_calibrated_change_nothing_and_rescue_nothing() {
    let judged = [Judged {
        rubric: "States the total.".to_owned(),
        opinion: Some(Opinion::NotMet),
        quote: String::new(),
        without: None,
        usage: Usage::default(),
    }];
    let weighed = |standing: &Standing, verdict| {
        let settings = settings("m");
        let judge = Judge {
            model: &Silent,
            settings: &settings,
            standing,
        };
        let mut grade = Grade {
            verdict,
            reasons: Vec::new(),
        };
        judge.weigh(&mut grade, &judged);
        grade.verdict
    };
    let advisory = Standing::of(&settings("m"), None);
    let calibrated = standing(20, 20, 0, "m");
    assert_eq!(weighed(&advisory, Verdict::Pass), Verdict::Pass);
    assert_eq!(weighed(&calibrated, Verdict::Pass), Verdict::Fail);
    let met = [Judged {
        opinion: Some(Opinion::Met),
        ..judged[0].clone()
    }];
    for verdict in [Verdict::Fail, Verdict::Invalid, Verdict::Inconclusive] {
        assert_eq!(weighed(&calibrated, verdict), verdict);
        let settings = settings("m");
        let judge = Judge {
            model: &Silent,
            settings: &settings,
            standing: &calibrated,
        };
        let mut grade = Grade {
            verdict,
            reasons: Vec::new(),
        };
        judge.weigh(&mut grade, &met);
        assert_eq!(grade.verdict, verdict, "nothing is rescued");
    }
}

/// Is never asked.
struct Silent;

impl Model for Silent {
    fn complete<'a>(
        &'a self,
        _request: &'a Request,
        _lane: &'a str,
    ) -> airside_base::BoxFuture<'a, Result<Reply, crate::model::ModelError>> {
        Box::pin(async { unreachable!("nothing is asked") })
    }
}
