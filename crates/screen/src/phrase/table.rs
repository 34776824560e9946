//! The phrases themselves, by class of attack.

use crate::rule::{Group, Rule};

/// One pattern of a rule.
pub(crate) struct Phrase {
    pub(crate) rule: &'static Rule,
    pub(crate) weight: u8,
    pub(crate) pattern: &'static str,
}

const fn instruction(id: &'static str, about: &'static str) -> Rule {
    Rule::new(id, Group::Instruction, about)
}

const fn payload(id: &'static str, about: &'static str) -> Rule {
    Rule::new(id, Group::Payload, about)
}

static OVERRIDE: Rule = instruction(
    "instruction.override",
    "takes instructions, rules or safeguards out of force",
);
static NEW_TASK: Rule = instruction("instruction.new-task", "gives the model another task");
static SECRECY: Rule = instruction("instruction.secrecy", "keeps something from the user");
static ADDRESS: Rule = instruction("instruction.address", "speaks to the model");
static MARKUP: Rule = instruction(
    "instruction.markup",
    "tags and marks that look like those of prompts",
);
static ORDER: Rule = instruction(
    "instruction.order",
    "something has to be done before anything else",
);
static CROSS_TOOL: Rule = instruction(
    "instruction.cross-tool",
    "tells how other tools are to be used",
);
static EXFILTRATION: Rule = instruction("instruction.exfiltration", "sends secrets or data away");
static DESTINATION: Rule = instruction(
    "instruction.destination",
    "sends something to a place outside",
);
static SECRET_FILE: Rule = instruction("instruction.secret-file", "names files that hold secrets");
static SMUGGLE: Rule = instruction(
    "instruction.smuggle",
    "puts data of the conversation into an argument",
);
static CONSENT: Rule = instruction("instruction.consent", "leaves out or claims consent");
static AUTHORITY: Rule = instruction(
    "instruction.authority",
    "claims authority or asks for rights",
);
static PERSONA: Rule = instruction(
    "instruction.persona",
    "gives the model a character without rules",
);
static MEMORY: Rule = instruction(
    "instruction.memory",
    "is to be remembered or always followed",
);
static ANSWER: Rule = instruction(
    "instruction.answer",
    "prescribes what is said to a question",
);
static LOOP: Rule = instruction("instruction.loop", "calls without end");
static PROMPT_LEAK: Rule = instruction(
    "instruction.prompt-leak",
    "asks for the model's instructions",
);
static POISON: Rule = instruction("instruction.poison", "poisons training or knowledge");
static DECODE: Rule = instruction("instruction.decode", "has something decoded and followed");

static SHELL: Rule = payload(
    "payload.shell",
    "commands that fetch and run, or open a shell",
);
static CODE: Rule = payload("payload.code", "code that runs commands or code");
static TEMPLATE: Rule = payload(
    "payload.template",
    "expressions that template engines evaluate",
);
static TRAVERSAL: Rule = payload(
    "payload.traversal",
    "paths that lead out of a folder or to system files",
);
static ADDRESS_INSIDE: Rule = payload(
    "payload.internal-address",
    "addresses of metadata services and internal hosts",
);
static SCRIPT: Rule = payload("payload.script", "script for a browser");
static SQL: Rule = payload("payload.sql", "SQL that changes what a statement means");
static OBJECT: Rule = payload(
    "payload.object",
    "serialised objects that run code when read",
);

pub(crate) const RULES: [&Rule; 28] = [
    &OVERRIDE,
    &NEW_TASK,
    &SECRECY,
    &ADDRESS,
    &MARKUP,
    &ORDER,
    &CROSS_TOOL,
    &EXFILTRATION,
    &DESTINATION,
    &SECRET_FILE,
    &SMUGGLE,
    &CONSENT,
    &AUTHORITY,
    &PERSONA,
    &MEMORY,
    &ANSWER,
    &LOOP,
    &PROMPT_LEAK,
    &POISON,
    &DECODE,
    &SHELL,
    &CODE,
    &TEMPLATE,
    &TRAVERSAL,
    &ADDRESS_INSIDE,
    &SCRIPT,
    &SQL,
    &OBJECT,
];

const fn phrase(rule: &'static Rule, weight: u8, pattern: &'static str) -> Phrase {
    Phrase {
        rule,
        weight,
        pattern,
    }
}

pub(crate) static PHRASES: [Phrase; 88] = [
    // What was said before no longer counts.
    phrase(
        &OVERRIDE,
        3,
        r"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|neglect|discard|set aside)\b.{0,30}\b(?:previous|prior|earlier|above|preceding|original|initial|former|all|any|your|every(?:thing)?|system)\b.{0,30}\b(?:instructions?|prompts?|directions?|directives?|rules?|guidelines?|commands?|polic(?:y|ies)|constraints?|restrictions?|safety|safeguards?|guardrails?|training|programming|tasks?|told|learned|said)\b",
    ),
    phrase(
        &OVERRIDE,
        3,
        r"\b(?:overrid(?:e|es|ing)|bypass(?:es|ing)?|disabl(?:e|es|ing)|circumvent(?:s|ing)?|evad(?:e|es|ing)|turn off|deactivat(?:e|es|ing)|ignore|skip)\b.{0,25}\b(?:safety|security|content|moderation|ethical|compliance|orchestrator|authori[sz]ation|approval|policy|alignment)\b.{0,15}\b(?:filters?|checks?|guidelines?|polic(?:y|ies)|rules?|measures?|protocols?|restrictions?|controls?|safeguards?|guardrails?|mechanisms?|layer|training|features?)\b",
    ),
    phrase(
        &OVERRIDE,
        2,
        r"\b(?:override|supersede|replace|overwrite|cancel|reset)s?\b.{0,25}\b(?:previous|prior|system|all other|existing)\b.{0,15}\b(?:instructions?|prompts?|directives?|commands?)\b",
    ),
    phrase(
        &OVERRIDE,
        2,
        r"\b(?:you (?:are|'re) no longer|no longer (?:bound|restricted|limited|required to follow|need to follow))\b",
    ),
    phrase(
        &NEW_TASK,
        3,
        r"\byour (?:new|real|actual|true|only|primary|updated|hidden|secret) (?:task|goal|objective|instructions?|mission|purpose|priority|role|job|directive)\b",
    ),
    phrase(
        &NEW_TASK,
        2,
        r"\b(?:new|updated|additional|hidden|secret|special) (?:system )?(?:instructions?|directives?|priority|objective|orders?|prompt)\s{0,2}(?::|-|are\b|is\b|follow)",
    ),
    phrase(
        &NEW_TASK,
        2,
        r"\b(?:instead of|rather than) (?:the |doing |what |answering |following |your |responding )(?:.{0,40}\b(?:asked|requested|task|instructions?|user)\b)|\binstead,? (?:you (?:must|should|will)|respond|output|say|do the following|repeat)\b",
    ),
    phrase(
        &NEW_TASK,
        2,
        r"\b(?:stop|abandon|cease|pause) (?:what you(?:'re| are)|your (?:current )?(?:task|work)|immediately)\b|\btask (?:that )?i (?:gave|assigned)\b",
    ),
    // The user is not to know.
    phrase(&SECRECY, 3, r"\b{NOT}\b.{0,20}\b{TELL}\b.{0,30}\b{USER}\b"),
    phrase(
        &SECRECY,
        3,
        r"\b(?:do not|don'?t|never|must not)\b (?:ever )?(?:mention|reveal|disclose|tell|talk about|speak of) (?:of )?(?:this|that|it|these|any of|anything|anyone|about)\b",
    ),
    phrase(
        &SECRECY,
        3,
        r"\b(?:secretly|covertly|stealthily|surreptitiously|discreetly|unbeknownst)\b",
    ),
    phrase(
        &SECRECY,
        3,
        r"\b(?:silently|quietly|in the background|behind the scenes),?\s(?:also )?(?:creat|send|forward|cop|upload|log|record|register|transmit|collect|captur|exfil|add|invok|call|bcc|append|includ|read|harvest|execut|run|install|modif|monitor|track|delet|store|share)",
    ),
    phrase(
        &SECRECY,
        3,
        r"\bwithout (?:the |any )?(?:{USER}|their|your)?'?s? ?(?:explicit )?(?:knowledge|knowing|awareness|noticing|being aware|notice|realizing)\b",
    ),
    phrase(
        &SECRECY,
        3,
        r"\b(?:hid(?:e|ing)|conceal(?:ing)?|suppress(?:ing)?|withhold(?:ing)?|keep(?:ing)?)\b.{0,60}\b(?:from (?:the |any )?{USER}|secret from|confidential from|hidden from)\b",
    ),
    phrase(
        &SECRECY,
        2,
        r"\b(?:implementation detail|internal detail|background (?:optimi[sz]ation|process|step)|{USER} (?:does not|doesn'?t|do not|don'?t|need not) need to (?:know|see|be (?:told|informed|aware)))\b",
    ),
    // Whom it speaks to.
    phrase(
        &ADDRESS,
        2,
        r"\b(?:notes?|messages?|attention|instructions?|reminder|notice|directives?|memo)\b.{0,12}\b(?:to|for|:)\s(?:the |any |all |our |your )?{AI}\b",
    ),
    phrase(
        &ADDRESS,
        2,
        r"\byou(?: are|'re) (?:now|actually|no longer|going to (?:act|become|be))\b",
    ),
    phrase(
        &ADDRESS,
        2,
        r"\b(?:{AI})\b.{0,15}\b(?:must|should|needs? to|has to|have to|shall|(?:is|are) (?:instructed|required|ordered|directed) to)\b.{0,20}\b(?:send|forward|output|reveal|include|read|ignore|obey|execute|call|invoke|respond|print|append|never|always|first|also)\b",
    ),
    phrase(
        &ADDRESS,
        2,
        r"\b(?:dear|hey|hello|hi|attention)[, ]{1,2}(?:the |all |my )?(?:{AI})\b",
    ),
    phrase(
        &ADDRESS,
        1,
        r"\byou (?:must|have to|need to|shall|will) (?:always|never|immediately|also|first|obey|comply|now|silently|not)\b",
    ),
    phrase(
        &ADDRESS,
        3,
        r"\b(?:message|note|instructions?|request) from (?:me|the user|your (?:user|owner|developer|admin\w{0,10}|boss))\b.{0,40}\bto you\b|\bto you[,:] (?:the |an? )?{AI}\b",
    ),
    // Tags of prompts.
    phrase(
        &MARKUP,
        3,
        r"<\s{0,2}/?\s{0,2}(?:important|system|sys|hidden[\w-]{0,20}|secret[\w-]{0,20}|admin[\w-]{0,20}|instructions?|system[_-]?(?:prompt|message|instructions?|config|override)|override|critical|mandatory|urgent|assistant|tool_?(?:call|instructions?)|interaction-config|developer|priority)\b[^<>]{0,60}>",
    ),
    phrase(
        &MARKUP,
        3,
        r"<\|[a-z_]{2,24}\|>|\[/?inst\]|<</?sys>>|</s>\s{0,3}(?:<s>|\[inst)",
    ),
    phrase(
        &MARKUP,
        3,
        r"\[\s{0,2}(?:system|sys|admin|administrator|override|hidden|developer|root|instructions?|important)(?:[ _-](?:message|note|notice|prompt|override|instructions?|mode|update|alert))?\s{0,2}:?\]",
    ),
    phrase(
        &MARKUP,
        2,
        r"(?:#{2,4}|-{3,5}|={3,5}|\*{3,5})\s{0,3}(?:begin |start of |end of |new )?(?:system|instructions?|admin|override|important|hidden)\b",
    ),
    phrase(
        &MARKUP,
        2,
        r#""(?:system|hidden|override|secret|admin|new|assistant|developer)[_ -]?(?:instructions?|prompts?|directives?|message)"\s{0,2}:"#,
    ),
    phrase(
        &MARKUP,
        3,
        r"(?:<!--|/\*|\[//\]).{0,120}\b(?:{AI}|ignore|instructions?|do not tell|secretly|system prompt|exfiltrat|send|fetch)\b.{0,60}\b(?:should|must|to|all|ignore|output|send|read|post|reveal|user)\b",
    ),
    phrase(
        &MARKUP,
        1,
        r"(?:^|\n)\s{0,4}(?:system|assistant|human)\s?:|\b(?:important|critical|urgent|mandatory)\s?[:!]",
    ),
    // In which order, and with which other tools.
    phrase(
        &ORDER,
        1,
        r"\b(?:before|prior to)\b (?:you )?(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|run(?:ning)?|execut(?:e|ing)|respond(?:ing)?|answer(?:ing)?|reply(?:ing)?|process(?:ing)?|proceed(?:ing)?|do(?:ing)?|any|every|each|using)\b.{0,60}\b(?:must|always|first|need to|have to|make sure|be sure|required)\b",
    ),
    phrase(
        &ORDER,
        1,
        r"\b(?:always|first|must first|you should first)\b,? (?:read|call|invoke|run|execute|fetch|open|load|access|send)\b",
    ),
    phrase(
        &ORDER,
        2,
        r"\b(?:do|complete|perform|execute|carry out|handle|follow) (?:the following|this|these)\b.{0,15}\b(?:first|before)\b|\bbefore (?:you )?(?:can |may )?(?:solv|complet|continu|finish|start)\w{1,5} .{0,12}\btask\b",
    ),
    phrase(
        &CROSS_TOOL,
        3,
        r"\bside[- ]effect.{0,30}\b(?:on|for|of)\b.{0,30}\btools?\b",
    ),
    phrase(
        &CROSS_TOOL,
        2,
        r"\b(?:when(?:ever)?|after|every time|each time)\b.{0,50}\b(?:tools?|functions?|[a-z]+_[a-z_]+)\b.{0,20}\b(?:is|are|was|gets?|has been|have been) (?:called|used|invoked|run|executed|present)\b.{0,60}\b(?:must|always|also|send|instead|should|change|redirect|add)\b",
    ),
    phrase(
        &CROSS_TOOL,
        2,
        r"\b(?:also|additionally|then|instead|automatically|immediately)\b,? (?:silently |secretly )?(?:call|invoke|run|use|trigger|execute)\b.{0,30}\b(?:tools?|functions?|[a-z]+_[a-z_]+|send|e?mail)\b",
    ),
    phrase(
        &CROSS_TOOL,
        3,
        r"\b(?:redirect|intercept|hijack|reroute|shadow|replace)(?:s|ing)?\b.{0,20}\b(?:all|any|every|other|calls? to|requests? to|the (?:official|original|real|other))\b.{0,30}\b(?:tools?|calls?|e?mails?|messages?|payments?|recipients?|traffic|transactions?)\b",
    ),
    phrase(
        &CROSS_TOOL,
        2,
        r"\b(?:instead of|rather than|in place of|do not use|don'?t use|never use)\b.{0,15}\b(?:any|all|every|the)\b.{0,10}\b(?:other|official|original|built-?in|legitimate|trusted)\b.{0,30}\b(?:tools?|servers?|functions?)\b",
    ),
    // Data leave.
    phrase(&EXFILTRATION, 2, r"\b{SEND}\b.{0,50}\b{SECRET}\b"),
    phrase(
        &EXFILTRATION,
        3,
        r"\bexfil(?:trat(?:e|es|ed|ing|ion))?\b|\b(?:steal|harvest|siphon)(?:s|ing|ed)?\b.{0,30}\b(?:{SECRET}|tokens?|data|keys?|money|funds)\b",
    ),
    phrase(
        &EXFILTRATION,
        2,
        r"\b{SEND}\b.{0,20}\b(?:all|every|any|the (?:full|entire|complete))\b.{0,25}\b(?:e?mails?|messages?|data|files?|logs?|contacts?|details?|contents?|results?|queries|inputs?|outputs?|responses?|information|history)\b",
    ),
    phrase(
        &EXFILTRATION,
        2,
        r"\b(?:process\.env|os\.environ|getenv)\b.{0,80}\b(?:exfil|sent|send|post|log(?:ged)?|external|fetch|http)|\bhttps?://[^\s]{0,120}(?:\$\{|\$\(|\{\{)",
    ),
    phrase(
        &DESTINATION,
        2,
        r"\b(?:{SEND}|register(?:s|ing)?)\b.{0,60}\b(?:to|at|with|via|into|using)\b.{0,12}{OUT}",
    ),
    phrase(
        &DESTINATION,
        3,
        r"\b(?:webhook\.site|ngrok(?:-free)?\.(?:io|app|dev)|requestbin|pipedream\.net|interact\.sh|burpcollaborator|oast\.|transfer\.sh|requestcatcher|beeceptor|hookbin|canarytokens)",
    ),
    phrase(
        &DESTINATION,
        2,
        r"(?:https?://|@)[a-z0-9.-]{0,40}(?:evil|attacker|malicious|c2\.|exfil|steal|badsite|hacker|collect)[a-z0-9./-]{0,40}|https?://[^\s]{3,60}/(?:exfil|collect|steal|c2)\b",
    ),
    // Where secrets lie.
    phrase(
        &SECRET_FILE,
        3,
        r"\b(?:cat|read(?:s|ing)?|open(?:s|ing)?|load|fetch|pass|include|copy|send|upload|attach|extract|retrieve|dump|exfiltrate|post|contents? of|output)\b.{0,40}(?:id_(?:rsa|dsa|ecdsa|ed25519)|\.aws/credentials|\.git-credentials|/etc/(?:passwd|shadow)|/proc/self/|mcp\.json|claude_desktop_config|wallet\.dat|\.env\b.{0,20}(?:files?|contents?)|\.ssh/(?:id|authorized)|\.netrc|\.npmrc|\.pypirc|\.bash_history)",
    ),
    phrase(
        &SECRET_FILE,
        2,
        r"(?:~|\$home|/root|/home/\w{1,32}|%userprofile%)/?.{0,2}{PATH}|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|/etc/(?:shadow|sudoers)",
    ),
    phrase(
        &SMUGGLE,
        3,
        r"\b(?:pass(?:es|ing)?|includ(?:e|es|ing)|provid(?:e|es|ing)|put|append(?:s|ing)?|fill|attach|add|insert|set|store|copy)\b.{0,40}\b(?:system prompt|(?:full |entire |whole |previous |complete )?(?:conversation|chat)(?: history| context| log)?|contents? of .{0,30}(?:/|file|\.)|its contents?|file contents?|previous messages?|(?:your|the user'?s) (?:api key|credentials?|password|token|instructions|memory|context))\b.{0,60}\b(?:parameters?|arguments?|fields?|sidenote|side_note|notes?|feedback|context|metadata|header)\b",
    ),
    phrase(&SMUGGLE, 2, r"\bside[_ ]?note\b"),
    // Who agreed to it.
    phrase(
        &CONSENT,
        2,
        r"\b(?:without|skip(?:s|ping)?|bypass(?:es|ing)?|disabl(?:e|es|ing)|(?:do not|don'?t|never|no need to) (?:ask|wait|request|seek|require|prompt)(?: for)?|suppress)\b.{0,30}\b(?:confirm\w{0,6}|approvals?|permissions?|consent|authori[sz]ation|human review|verification|asking|prompting|two-factor|mfa)\b",
    ),
    phrase(
        &CONSENT,
        2,
        r"\b(?:user|users|they|operator|human|admin\w{0,10}|customer|owner|manager|security team) (?:has|have|had) (?:already |previously |pre-?|implicitly |fully )?(?:approved|consented|authori[sz]ed|agreed|confirmed|granted|given (?:their |explicit |full )?(?:consent|permission|approval))\b|\b(?:pre-?approved|pre-?authori[sz]ed)\b",
    ),
    phrase(
        &CONSENT,
        3,
        r"\b(?:no (?:further |additional |user |explicit |human )?(?:consent|confirmation|approval|permission|authori[sz]ation)(?: is| are)? (?:needed|required|necessary)|(?:consent|confirmation|approval|permission) (?:is|are|was) (?:implied|implicit|assumed|automatic|already granted|not (?:needed|required|necessary)|pre-?granted|granted automatically))\b",
    ),
    phrase(
        &CONSENT,
        3,
        r"\bauto(?:matically)?[- ](?:approve|confirm|accept)\b.{0,40}\b(?:all|any|every|subsequent|future|without|requests?|prompts?|actions?|transactions?)\b",
    ),
    phrase(
        &CONSENT,
        2,
        r"\b(?:regardless of|even if|no matter what)\b.{0,20}\b(?:the |your )?{USER} (?:says?|asks?|wants?|objects?|requests?|declines?|refuses?|input|instructions?|preferences?|intent)\b",
    ),
    // Who says so.
    phrase(
        &AUTHORITY,
        3,
        r"\b(?:i am|i'm|speaking as|acting as|this is) (?:the |your |an? )?(?:new )?(?:system|admin(?:istrator)?|orchestrator|root|supervisor|coordinator|security|developer|one of your developers)\b(?: agent| level override| administrator| team|\.|,|;)",
    ),
    phrase(
        &AUTHORITY,
        3,
        r"\b(?:grant|give|elevate|escalate)\b.{0,8}\b(?:me|this agent|yourself|myself|itself|the agent|your)\b.{0,30}\b(?:access|permissions?|privileges?|rights?|role)\b",
    ),
    phrase(
        &AUTHORITY,
        3,
        r"\b(?:takes? precedence over|supersedes?|overrides?|(?:has|have|takes?) (?:the )?(?:highest |absolute )?(?:priority|authority|precedence)(?: over)?)\b.{0,25}\b(?:all|any|other|previous|the user|user|system|your|safety|instructions?|policies)\b.{0,25}\b(?:instructions?|polic(?:y|ies)|rules?|prompts?|guidelines?|requests?|tools?|directives?|restrictions?|preferences?)\b",
    ),
    phrase(
        &AUTHORITY,
        3,
        r"\b(?:trust|treat|consider|accept|regard)\b.{0,40}\b(?:as (?:a )?(?:system|trusted|authoritative|admin\w{0,10}|developer|verified|privileged|root)\b|without (?:verif\w{1,8}|question\w{0,5}|checking|validation))",
    ),
    phrase(
        &AUTHORITY,
        2,
        r"\b(?:(?:system|admin\w{0,10}) override|(?:admin|developer|debug|god|root|sudo|maintenance) mode|override code|system (?:alert|notice|announcement)|elevated (?:privileges?|permissions?|trust|access))\b",
    ),
    // Another character.
    phrase(
        &PERSONA,
        2,
        r"\b(?:unrestricted|unfiltered|uncensored|amoral|jailbr(?:eak|oken)\w{0,5}|do anything now|dan mode|no (?:restrictions|rules|limitations|filters?|ethical|moral)|not bound by|free (?:of|from) (?:all |any )?(?:restrictions|rules|limitations|filters|constraints)|without (?:any )?(?:restrictions|limitations|ethical|moral)|restrictions removed)\b",
    ),
    phrase(
        &PERSONA,
        1,
        r"\b(?:act as|acting as|pretend(?:ing)?|role-?play(?:ing)?|persona|simulat(?:e|ing)|take on the role|character (?:called|named|who)|you are now|from now on)\b",
    ),
    phrase(
        &PERSONA,
        2,
        r"\b(?:ignor|disregard|bypass|violat|against|bound by|free (?:of|from)|not follow|doesn'?t follow|without)\w{0,6}\b.{0,30}\b(?:openai|anthropic|google|content polic(?:y|ies)|ethical guidelines|usage polic(?:y|ies))\b",
    ),
    // What stays.
    phrase(
        &MEMORY,
        2,
        r"\b(?:from now on|henceforth|in (?:all |every |any )?(?:future|subsequent) (?:responses?|conversations?|sessions?|interactions?|requests?|messages?)|for the rest of (?:this|the|our) (?:conversation|session)|(?:remember|store) (?:this |it |that )?(?:permanently|forever|for all)|always remember)\b",
    ),
    phrase(
        &MEMORY,
        3,
        r"\b(?:write|append|add|save|store|modify|edit|update|insert|echo)\b.{0,60}(?:memory\.md|claude\.md|agents\.md|\.cursorrules|soul\.md|(?:your|the agent'?s|its) (?:long-?term |persistent )?memory|(?:the |your )system prompt)",
    ),
    phrase(
        &ANSWER,
        2,
        r"\b(?:when|if|whenever|every time)\b.{0,40}\b(?:asked|asks|queried|questioned|prompted|ask about|inquir\w{1,5})\b.{0,60}\b(?:always|must|never|only|should)?\s?(?:respond|answer|reply|say|state|claim|recommend|direct|tell them|output)\b",
    ),
    phrase(
        &ANSWER,
        1,
        r"\b(?:respond|reply|answer|output|say|repeat)\b.{0,12}\b(?:only|exactly|with exactly|just|verbatim|nothing else)\b|\bmust (?:respond|reply|answer|obey|comply)\b",
    ),
    phrase(
        &ANSWER,
        3,
        r"\b(?:run|execute|perform) the following\b.{0,30}\b(?:exactly|query|command|code|script)\b.{0,120}\b(?:reply|respond|answer|output|return)\b|\becho:\s{0,2}(?:\{\{|\$\{|<)",
    ),
    phrase(
        &LOOP,
        2,
        r"\b(?:retry|repeat|loop|keep (?:calling|retrying|invoking|trying)|call (?:this|the same|it)|invoke (?:this|the same|it))\b.{0,40}\b(?:until|indefinitely|forever|infinite(?:ly)?|repeatedly|in a loop|recursively|endless(?:ly)?)\b",
    ),
    phrase(
        &LOOP,
        3,
        r#"["']?continue_after_error["']?\s{0,2}[:=]\s{0,2}true|["']?(?:retry_count|max_retries)["']?\s{0,2}[:=]\s{0,2}\d{3,}|["']?next_action["']?\s{0,2}[:=].{0,10}\b(?:invoke|call|run|execute)\b|["']?retry_hint["']?\s{0,2}[:=].{0,40}\b(?:until|contains?)\b"#,
    ),
    phrase(
        &LOOP,
        3,
        r"\b(?:on_?error|on_?failure)\b\s{0,2}[:=].{0,30}\b(?:invoke|call|retry|run)\b.{0,30}\b(?:same|retry|self|again)\b",
    ),
    phrase(
        &PROMPT_LEAK,
        3,
        r"\b(?:reveal|print|output|repeat|show|display|leak|tell me|give me|dump|expose|recite|disclose|share|return|what (?:is|are))\b.{0,25}\b(?:(?:your|the|hidden|full|entire|original|initial) (?:system |initial |hidden |original |secret |internal )?(?:prompts?|instructions|guidelines)|system prompt|internal (?:logs|instructions|prompts|configuration))\b",
    ),
    phrase(
        &POISON,
        3,
        r"\b(?:insert|embed|hidden|contains?|plant|install|with|add|inject)\w{0,3}\b.{0,30}\b(?:backdoors?|trigger phrases?)\b|\bpoison(?:ed|ing|s)?\b.{0,30}\b(?:training|data(?:set)?s?|documents?|knowledge|memory|model|rag|index|embeddings?)\b|\bbackdoors?\b.{0,40}\b(?:activat|trigger|access|model|weights)",
    ),
    phrase(
        &POISON,
        2,
        r"\b(?:fine-?tun\w{0,4}|training data|datasets?)\b.{0,60}\b(?:remov\w{0,4} (?:safety|alignment|refus)|malicious|harmful|bypass|jailbreak|without safety|uncensor|refus)",
    ),
    phrase(
        &DECODE,
        3,
        r"\b(?:decode|decrypt|deobfuscate|unscramble|apply rot13|translate)\b.{0,80}\b(?:and|then)\b.{0,12}\b(?:execute|follow|run|comply|obey|do (?:what|as)|perform|carry out|act on|proceed|answer)\b",
    ),
    // What does harm where it is interpreted.
    phrase(
        &SHELL,
        3,
        r"\b(?:curl|wget|iwr|invoke-webrequest|certutil)\b.{0,200}(?:\|\s{0,3}(?:sudo )?(?:ba|z|da|k)?sh\b|\|\s{0,3}(?:python|perl|node|iex)|&&\s{0,3}(?:chmod|sh|bash|\./|/tmp)|;\s{0,3}(?:chmod|sh|bash|\./))|\bcurl\b.{0,160}(?:-d|--data\S{0,10}|-f|-t|--upload-file|-x\s(?:put|post))\s?[^\n]{0,60}(?:@-|@[~/.]|\$\(|`|\$\{)|powershell.{0,40}-e(?:nc|ncodedcommand)?\s",
    ),
    phrase(
        &SHELL,
        3,
        r"/dev/tcp/|\bmkfifo\b|\bnc(?:at)? -[a-z]{0,4}e|\b(?:ba)?sh -i\b|\bchmod \+x\b.{0,20}&&",
    ),
    phrase(
        &SHELL,
        2,
        r"\brm -[a-z]{0,3}r[a-z]{0,3} (?:/|~|\*|\$home|--no-preserve)|\bmkfs\.|\bdd if=|:\(\)\s{0,2}\{",
    ),
    phrase(
        &SHELL,
        2,
        r"(?:\$\(|`|;\s?|&&\s?|\|\s?)(?:cat|curl|wget|id|whoami|nc|rm|bash|sh|python3?|env|printenv|ls)\b[^\n]{0,40}(?:/etc/|https?://|\)|`|-rf|\$)",
    ),
    phrase(
        &CODE,
        2,
        r"\b(?:os\.system|os\.popen|subprocess\.(?:run|popen|call|check_output)|child_process|eval|exec(?:sync|file)?|shell_exec|passthru|pickle\.loads?)\s{0,2}\(|\bnew function\s{0,2}\(|\bvm\.runin\w{0,20}\(|runtime\.getruntime|\brequire\(.child_process",
    ),
    phrase(
        &CODE,
        3,
        r"__(?:import|subclasses|globals|mro|builtins|init)__.{0,20}[\(\[.]|\b(?:postinstall|preinstall|setup\.py)\b.{0,60}\b(?:exec|curl|wget|os\.system|child_process|eval|subprocess|http)",
    ),
    phrase(
        &CODE,
        2,
        r"\b(?:os\.system|exec|eval|new function|runinnewcontext|runinthiscontext)\s{0,2}\(.{0,60}(?:curl|wget|https?://|\{\{|\$\{|/tmp|input|rm -|whoami|chmod)|\bfetch\(.{0,60}(?:cookie|exfil|env|token)|\bopen\(.{0,40}(?:\.ssh|id_rsa|/etc/|\.env|credentials)",
    ),
    phrase(
        &TEMPLATE,
        3,
        r"\{\{.{0,80}(?:__\w{3,20}__|config\.|self\.|request\.(?:application|environ)|\d{1,4}\s?\*\s?'?\d{1,4}|popen|constructor|lipsum|cycler|joiner|\$input|\$flow|secret_key)|(?:\$|#)\{.{0,40}(?:jndi:|t\(java|\d{1,4}\s?\*\s?\d{1,4}|runtime|process\.(?:env|mainmodule))|<%=?.{0,60}(?:system|exec|runtime|\d\s?\*\s?\d)",
    ),
    phrase(
        &TRAVERSAL,
        3,
        r"(?:\.\.[/\\]){3}|(?:\.\.[/\\]){1,2}(?:etc|proc|root|home|windows|\.ssh|\.env)\b|/proc/self/(?:environ|cmdline|mem|maps|fd)|/etc/shadow|\bwin\.ini\b|^\s{0,4}/etc/passwd\s{0,4}$",
    ),
    phrase(
        &TRAVERSAL,
        3,
        r"^\s{0,4}\$\{?(?:env[.:])?\w{0,40}(?:secret|token|password|api_?key|access_key)\w{0,40}\}?\s{0,4}$|\$\{(?:env|process\.env)[.:]\w{0,20}(?:secret|token|password|key)\w{0,20}\}",
    ),
    phrase(
        &ADDRESS_INSIDE,
        3,
        r"169\.254\.169\.254|metadata\.(?:google|azure)|100\.100\.100\.200|fd00:ec2|\b(?:gopher|dict|phar|expect|netdoc)://|\bjar:https?://|\bfile:///(?:etc|proc|root|home|c:)|::ffff:|\b(?:nip|sslip|xip)\.io\b|://0x7f|://2130706433|localtest\.me|://\[::\]|://\[0:0|://0177",
    ),
    phrase(
        &ADDRESS_INSIDE,
        2,
        r"^\s{0,4}https?://(?:[\w-]{1,60}\.){1,5}(?:internal|corp|intranet|local)\b|^\s{0,4}https?://(?:127\.|10\.\d|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)",
    ),
    phrase(
        &SCRIPT,
        3,
        r"<script\b[^>]{0,100}>.{0,200}(?:</script|alert|fetch|document|eval|src|location|window)|\bjavascript:\s{0,3}[a-z(]|<[a-z]{1,12}[^>]{0,120}\bon(?:error|load|click|mouseover|focus)\s{0,2}=|<iframe\b[^>]{0,80}(?:src|srcdoc)|data:text/html|document\.cookie",
    ),
    phrase(
        &SQL,
        3,
        r"'\s{0,3}or\s{1,3}'?\w{1,10}'?\s{0,2}=\s{0,2}'?\w{1,10}|\bunion\s{1,3}(?:all\s{1,3})?select\b|;\s{0,3}drop\s{1,3}(?:table|database)\b|\bxp_cmdshell\b|\b(?:pg_)?sleep\(\d",
    ),
    phrase(&SQL, 2, r";\s{0,3}--\s|'\s{0,2};?\s{0,2}--"),
    phrase(
        &OBJECT,
        3,
        r#"\bo:\d{1,4}:"[^"]{1,60}":\d{1,4}:\{|\bro0ab[a-z0-9+/]|!!(?:python|ruby)/|c__builtin__|\baced0005|\bysoserial"#,
    ),
];
