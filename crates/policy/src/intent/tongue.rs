//! German, French, Spanish and Japanese, as far as words have to be read: deeds, what
//! denies them, days, and what says yes.
//!
//! # Invariants
//!
//! * A language is read only where words show that it is spoken, so that no English word
//!   is taken for one of another language.
//! * In a clause that denies anything, nothing is asked for. English is read more closely.
//! * What is said in a language that is not known here is told apart from what is
//!   understood and asks for something else ([`Tongues::is_unread`]).

use airside_base::MONTHS;

use super::Word;

/// A language besides English.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tongue {
    German,
    French,
    Spanish,
    Japanese,
}

/// The languages that words are in.
#[derive(Debug, Clone, Default)]
pub(super) struct Tongues {
    spoken: Vec<Tongue>,
    /// Something shows that they are in none that is read.
    unread: bool,
}

/// What is asked for, in the order of the kinds of [`super::deed`].
pub(super) const DEEDS: usize = 7;

/// Words that are said in every other sentence of a language and in none of English.
const COMMON: [(Tongue, &str); 3] = [
    (
        Tongue::German,
        "der das und bitte ich mir mich mein meine meinen nicht ist für von vom zum ein eine einen auf mit wir uns sie es dem den bis ja",
    ),
    (
        Tongue::French,
        "le la les je vous moi mon ma mes une des pour est et du plaît nous que dans au de oui",
    ),
    (
        Tongue::Spanish,
        "el la los las por favor quiero mi mis una para con que del al es de en sí",
    ),
];

/// The same of English.
const ENGLISH: &str = "the a an my me i you to please for of it is and with this that in on at from your can want need what all be them him her yes one its";

/// Beginnings of verbs that ask for a deed, by kind: making, booking, ending, sending,
/// changing, paying, handing in.
const STEMS: [(Tongue, [&str; DEEDS]); 3] = [
    (
        Tongue::German,
        [
            "erstell anleg leg hinzufüg füg trag eintrag speicher notier erinner",
            "buche bucht buchung reservier miete",
            "stornier storno lösch entfern kündig widerruf absag sag",
            "send schick antwort benachrichtig einlad lad weiterleit maile teil",
            "änder umbuch buche verschieb verschob aktualisier verlänger verkürz wechs tausch anpass pass ersetz korrigier umbenenn",
            "zahl bezahl überweis kauf bestell erstatt geld",
            "hochlad einreich reich veröffentlich anmeld meld anhäng häng umtausch registrier",
        ],
    ),
    (
        Tongue::French,
        [
            "ajout crée créer créez enregistr programm planifi rappel inscri",
            "réserv louer loue",
            "annul supprim effac retir résili",
            "envoy envoi transmet transfér répond invit préven prévien notifi",
            "modifi chang déplac repouss report prolong remplac corrig actualis décal renomm",
            "pay paie vire achèt achet command rembours règle argent",
            "téléverse soumet publi joind joins inscri échang",
        ],
    ),
    (
        Tongue::Spanish,
        [
            "añad agreg crea cree guard program apunt recuérd recordator anot",
            "reserv alquil",
            "cancel anul elimin borr quit",
            "envi enví mand respond invit avis reenví notifi",
            "cambi modific muev mover actualiz extiend alarg prolong reemplaz corrig corrij aplaz reprogram",
            "pag transfier transfer compr pide pedir reembols devuelv dinero abon",
            "sube subir registr public adjunt intercambi",
        ],
    ),
];

/// The same of Japanese, which has no blanks between words.
const JAPANESE: [&str; DEEDS] = [
    "追加 作成 登録 保存 入れて リマインド 作って",
    "予約 レンタル 借り",
    "キャンセル 取り消 取消 削除 消して",
    "送って 送信 送り メール 返信 招待 知らせ 連絡 転送",
    "変更 延長 更新 修正 変えて 移動 直して",
    "支払 払っ 振込 振り込 送金 購入 買って 注文 返金",
    "アップロード 提出 公開 添付 申請",
];

/// Verbs of speaking, which ask for a message unless they are said of the speaker.
const SPOKEN: [(Tongue, &str, &str); 3] = [
    (
        Tongue::German,
        "schreib sag informier frag",
        "mir uns ihnen",
    ),
    (
        Tongue::French,
        "écri dis dites inform demand",
        "moi nous vous",
    ),
    (Tongue::Spanish, "escrib dile diles inform", "me nos"),
];

/// The kind of deed that sends.
const SENDING: usize = 3;

const DENIALS: [(Tongue, &str); 3] = [
    (
        Tongue::German,
        "nicht nie niemals ohne kein keine keinen keinesfalls",
    ),
    (Tongue::French, "pas jamais sans ne n ni aucun aucune"),
    (Tongue::Spanish, "no nunca jamás sin ni tampoco"),
];

/// What denies behind a Japanese verb.
const JAPANESE_DENIALS: &str = "ない ません ずに なく";

/// What says yes, in any language.
const YES: &str = "yes yeah yep yup sure ok okay proceed confirm confirmed correct agree agreed absolutely definitely ahead perfect works good ja gerne genau einverstanden jawohl oui accord volontiers sí vale claro adelante acuerdo fine";
const JAPANESE_YES: &str = "はい お願いします それで 大丈夫です ええ";
const NO: &str = "no nope not don never nein nicht non pas wait stop halt isn doesn";
/// Words of a message among which it has to say yes.
const YES_WITHIN: usize = 12;

/// Words for days, as English says them.
const DAYS: [(Tongue, &str); 3] = [
    (
        Tongue::German,
        "januar=january jänner=january februar=february märz=march mai=may juni=june juli=july oktober=october dezember=december bis=to zum=to vom=from und=and am=on ab=from den=the der=the im=in nächste=next nächsten=next nächster=next kommende=next kommenden=next diese=this diesen=this heute=today morgen=tomorrow übermorgen=tomorrow montag=monday dienstag=tuesday mittwoch=wednesday donnerstag=thursday freitag=friday samstag=saturday sonnabend=saturday sonntag=sunday wochenende=weekend tag=day tage=days tagen=days nacht=night nächte=nights nächten=nights woche=week wochen=weeks monat=month monate=months eine=one einen=one zwei=two drei=three vier=four fünf=five sechs=six sieben=seven acht=eight neun=nine zehn=ten vorher=before",
    ),
    (
        Tongue::French,
        "janvier=january février=february mars=march avril=april mai=may juin=june juillet=july août=august septembre=september octobre=october novembre=november décembre=december au=to du=from jusqu=to et=and le=the en=in prochain=next prochaine=next aujourd=today demain=tomorrow lundi=monday mardi=tuesday mercredi=wednesday jeudi=thursday vendredi=friday samedi=saturday dimanche=sunday jour=day jours=days nuit=night nuits=nights semaine=week semaines=weeks mois=month une=one deux=two trois=three quatre=four cinq=five huit=eight neuf=nine dix=ten avant=before",
    ),
    (
        Tongue::Spanish,
        "enero=january febrero=february marzo=march abril=april mayo=may junio=june julio=july agosto=august septiembre=september octubre=october noviembre=november diciembre=december al=to hasta=to del=from desde=from de=of y=and el=the en=in próximo=next próxima=next hoy=today mañana=tomorrow lunes=monday martes=tuesday miércoles=wednesday jueves=thursday viernes=friday sábado=saturday domingo=sunday día=day días=days noche=night noches=nights semana=week semanas=weeks mes=month una=one dos=two tres=three cuatro=four cinco=five seis=six siete=seven ocho=eight nueve=nine diez=ten antes=before",
    ),
];

/// The same of Japanese; what stands first is looked for first.
const JAPANESE_DAYS: &[(&str, &str)] = &[
    ("明後日", " in 2 days "),
    ("明日", " tomorrow "),
    ("今日", " today "),
    ("今夜", " today "),
    ("来週", " next week "),
    ("来月", " next month "),
    ("週末", " weekend "),
    ("月曜", " monday "),
    ("火曜", " tuesday "),
    ("水曜", " wednesday "),
    ("木曜", " thursday "),
    ("金曜", " friday "),
    ("土曜", " saturday "),
    ("日曜", " sunday "),
    ("週間", " weeks "),
    ("泊", " nights "),
    ("から", " to "),
    ("まで", " "),
    ("年", " "),
];

impl Tongues {
    /// Finds out what `words` are in.
    pub(super) fn of(words: &[Word<'_>]) -> Self {
        let said = |common: &str| {
            let common = common.split(' ');
            common
                .filter(|common| words.iter().any(|word| word.text == *common))
                .count()
        };
        // Who says little says few of them.
        let enough = if words.len() < 4 { 1 } else { 2 };
        let mut spoken: Vec<Tongue> = COMMON
            .iter()
            .filter(|(_, common)| said(common) >= enough)
            .map(|(tongue, _)| *tongue)
            .collect();
        let any = |is: fn(char) -> bool| words.iter().any(|word| word.text.chars().any(is));
        if any(is_kana) {
            spoken.push(Tongue::Japanese);
        }
        let foreign = any(|c| !c.is_ascii()) && said(ENGLISH) < enough;
        Self {
            unread: spoken.is_empty() && foreign,
            spoken,
        }
    }

    /// Whether the words seem to be in a language that is not read.
    pub(super) fn is_unread(&self) -> bool {
        self.unread
    }

    /// Whether the clause of the word at `at` denies anything in a language that is spoken.
    pub(super) fn deny(&self, words: &[Word<'_>], at: usize) -> bool {
        let mut spoken = self.spoken.iter();
        spoken.any(|tongue| is_denied(*tongue, words, at))
    }

    /// Whether `words` ask for a deed of the kind at `kind`.
    pub(super) fn ask_for(&self, words: &[Word<'_>], kind: usize) -> bool {
        let is_spoken = |tongue: &Tongue| self.spoken.contains(tongue);
        let by_stem = STEMS.iter().filter(|(tongue, _)| is_spoken(tongue));
        let mut asked = by_stem.flat_map(|(tongue, stems)| {
            let stems = stems[kind];
            (0..words.len()).filter(move |at| is_meant(*tongue, words, *at, stems))
        });
        let tells = |(tongue, verbs, speakers): &(Tongue, &str, &str)| {
            (0..words.len()).any(|at| {
                let next = words.get(at + 1);
                is_meant(*tongue, words, at, verbs)
                    && next.is_some_and(|next| !speakers.split(' ').any(|one| one == next.text))
            })
        };
        let mut spoken = SPOKEN.iter().filter(|(tongue, ..)| is_spoken(tongue));
        let in_japanese = |word: &Word<'_>| is_meant_in_japanese(word.text, JAPANESE[kind]);
        asked.next().is_some()
            || (kind == SENDING && spoken.any(tells))
            || (is_spoken(&Tongue::Japanese) && words.iter().any(in_japanese))
    }

    /// Returns a text in which days are named as in English.
    pub(super) fn english_days(&self, text: &str) -> String {
        let mut out = match self.spoken.contains(&Tongue::Japanese) {
            true => japanese_days(text),
            false => text.to_owned(),
        };
        for (tongue, table) in DAYS {
            if self.spoken.contains(&tongue) {
                out = translated(&out, table);
            }
        }
        out
    }
}

/// Whether a message of a user agrees to what they were shown before.
pub(super) fn agrees(message: &str) -> bool {
    let lower = message.to_lowercase();
    let words = Word::all(&lower);
    let among = |word: &Word<'_>, all: &str| all.split(' ').any(|one| one == word.text);
    let begins = |word: &Word<'_>| {
        JAPANESE_YES
            .split(' ')
            .any(|yes| word.text.starts_with(yes))
    };
    let mut denied = false;
    for word in words.iter().take(YES_WITHIN) {
        denied |= among(word, NO);
        if !denied && (among(word, YES) || begins(word)) {
            return true;
        }
        // `No problem. Yes, please.` says yes, `no, that is not good` does not.
        denied &= !word.gap.contains(['.', '!', '\n']);
    }
    false
}

fn is_kana(c: char) -> bool {
    ('\u{3040}'..='\u{30ff}').contains(&c)
}

/// Whether the word at `at` begins as one of `stems`, and nothing in its clause denies.
fn is_meant(tongue: Tongue, words: &[Word<'_>], at: usize, stems: &str) -> bool {
    let text = words[at].text;
    // German puts `ge` before what is done.
    let bare = match tongue {
        Tongue::German => text.strip_prefix("ge"),
        _ => None,
    };
    let begins = |stem: &str| text.starts_with(stem) || bare.is_some_and(|it| it.starts_with(stem));
    stems.split(' ').any(begins) && !is_denied(tongue, words, at)
}

/// Whether the clause of the word at `at` denies anything.
fn is_denied(tongue: Tongue, words: &[Word<'_>], at: usize) -> bool {
    let before = words[..at].iter().rposition(Word::ends_clause);
    let start = before.map_or(0, |end| end + 1);
    let after = words[at..].iter().position(Word::ends_clause);
    let end = after.map_or(words.len(), |end| at + end + 1);
    let denials = DENIALS.iter().filter(|(of, _)| *of == tongue);
    denials
        .flat_map(|(_, denials)| denials.split(' '))
        .any(|denial| words[start..end].iter().any(|word| word.text == denial))
}

fn is_meant_in_japanese(run: &str, verbs: &str) -> bool {
    let denies = |after: &str| JAPANESE_DENIALS.split(' ').any(|one| after.contains(one));
    verbs
        .split(' ')
        .any(|verb| run.match_indices(verb).any(|(at, _)| !denies(&run[at..])))
}

/// Puts English words in the place of those that `table` has.
fn translated(text: &str, table: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let (gap, from) = rest.split_at(start);
        out.push_str(gap);
        let end = from
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(from.len());
        let word = &from[..end];
        let mut pairs = table.split(' ').filter_map(|pair| pair.split_once('='));
        let english = pairs.find(|(foreign, _)| *foreign == word);
        out.push_str(english.map_or(word, |(_, english)| english));
        rest = &from[end..];
    }
    out.push_str(rest);
    out
}

/// `12月5日から8日まで` as `december 5th to 8th`.
fn japanese_days(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut digits = String::new();
    let flush = |digits: &mut String, plain: &mut String| {
        plain.push_str(digits);
        digits.clear();
    };
    for c in text.chars() {
        // Digits of full width are digits.
        let digit = match c {
            '0'..='9' => Some(c),
            '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(c) - 0xff10, 10),
            _ => None,
        };
        match (c, digit) {
            (_, Some(digit)) => digits.push(digit),
            ('月', None) if !digits.is_empty() => {
                let month = digits
                    .parse::<usize>()
                    .ok()
                    .and_then(|at| MONTHS.get(at.wrapping_sub(1)));
                plain.push(' ');
                plain.push_str(month.copied().unwrap_or("?"));
                plain.push(' ');
                digits.clear();
            }
            ('日', None) if !digits.is_empty() => {
                flush(&mut digits, &mut plain);
                // What a length of time is told by stands before `間`.
                plain.push_str("th日");
            }
            (c, None) => {
                flush(&mut digits, &mut plain);
                plain.push(c);
            }
        }
    }
    flush(&mut digits, &mut plain);
    let mut plain = plain.replace("th日間", " days ").replace("th日", "th ");
    for (japanese, english) in JAPANESE_DAYS {
        plain = plain.replace(japanese, english);
    }
    plain
}

#[cfg(test)]
mod tests;
