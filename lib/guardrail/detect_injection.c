/* Prompt injection by rules: signals of twelve families, found in the normalised view and in
 * decoded payloads. The strongest signal of each family counts; families add up (see norm_pass.c).
 */
#include "lib/guardrail/guardrail_internal.h"

enum {
    OVERRIDE,
    ROLE,
    FREEDOM,
    EXTRACT,
    FORGERY,
    ENCODED,
    EXFILTRATE,
    TOOL,
    HIJACK,
    ADDRESS,
};

/* Parts of the patterns. Texts are lower case, every run of blanks is one blank or newline. */
#define S "[ \\n]"
#define FILL                                                                                       \
    "(?:(?:please|now|just|completely|and|or|any|all|every|each|of|to|about|the|your|my|our|"      \
    "these|those|its|other|any)[ \\n,]{1,2}){0,6}"
#define NOUN                                                                                       \
    "(?:instruction|directive|direction|guideline|rule|prompt|command|order|polic(?:y|ies)|"       \
    "constraint|restriction|training|programming|safety|filter|message|system|text|content|"       \
    "conversation|context|input)"
#define EARLIER                                                                                    \
    "(?:previous|prior|above|preceding|earlier|foregoing|former|existing|original|initial|"        \
    "system|past|developer|old|given|openai|safety|internal|hidden|default)"
#define VERB "[a-z' ]{3,24}?" S
#define ORDERS                                                                                     \
    "(?:instructions|directives|directions|guidelines|rules|prompts|commands|orders|policies|"     \
    "constraints|restrictions|training|programming)"

/* X(name, id, family, order, score, description, triggers separated by ';', pattern or NULL). */
#define INJECTION(X)                                                                               \
    X(OVERRIDE_EARLIER,                                                                            \
      "override-earlier",                                                                          \
      OVERRIDE,                                                                                    \
      true,                                                                                        \
      0.92,                                                                                        \
      "Orders the model to drop earlier instructions",                                             \
      "ignore;ignoring;disregard;forget;override;bypass;drop;cancel;discard;skip;neglect;"         \
      "overlook;"                                                                                  \
      "pay no attention to;do not follow;don't follow;stop following;do not obey;set aside;erase;" \
      "abandon;no longer follow;disobey;violate;circumvent;nullify",                               \
      "[a-z' ]{4,24}?" S FILL "(?:" EARLIER                                                        \
      "(?:(?: ?[,/&] ?|[ \n])[a-z]{2,14}){0,3}[ \n,/&]{1,2}" ORDERS "|" EARLIER S                  \
      "(?:prompt|message|instruction|rule|directive|guideline)\\b"                                 \
      "|" ORDERS S "(?:you|in the context|so far|above|before|from (?:your|openai|the)|"           \
      "that (?:you|were|are)|given|provided|given to you|up to now|until now))")                   \
    X(OVERRIDE_ALL,                                                                                \
      "override-everything",                                                                       \
      OVERRIDE,                                                                                    \
      true,                                                                                        \
      0.88,                                                                                        \
      "Orders the model to forget everything before",                                              \
      "ignore;disregard;forget;override;bypass;drop;cancel;discard;skip;neglect;"                  \
      "pay no attention to;set aside;erase",                                                       \
      "[a-z' ]{4,24}?" S "(?:(?:please|now|just|absolutely|about)" S "){0,2}"                      \
      "(?:(?:absolutely )?(?:everything|anything|all|the (?:text|content|document|rest)|"          \
      "what(?:ever|soever)?)" S "(?:(?:of|that|which|is|was|has|have|had|been|were|your|you|"      \
      "i|we|it|the|from)" S "){0,4}(?:above|before|previously|prior|so far|said|told|written|"     \
      "developer|chat ?gpt|openai|learned|know|trained)"                                           \
      "|all" S "(?:of your" S "|your" S "|the" S "|other" S ")?" ORDERS "\\b"                      \
      "|(?:your|the system|system)" S "(?:[a-z]+" S ")?(?:" ORDERS "|message|prompt)\\b)")         \
    X(ROLE_SWITCH,                                                                                 \
      "role-switch",                                                                               \
      ROLE,                                                                                        \
      false,                                                                                       \
      0.40,                                                                                        \
      "Gives the model another identity",                                                          \
      "you are now;from now on;from this point;you will act as;i want you to act;act as;act like;" \
      "pretend to be;pretend you;simulate;immerse yourself;stay in character;take on the role;"    \
      "you will play;you are going to;you're now;switch to;speak as;respond as;answer as;"         \
      "roleplay;role-play;play a game;play the role;embody;impersonate",                           \
      NULL)                                                                                        \
    X(ROLE_FREE,                                                                                   \
      "role-unbound",                                                                              \
      FREEDOM,                                                                                     \
      true,                                                                                        \
      0.85,                                                                                        \
      "Asks for a model without rules, filters or refusals",                                       \
      "do anything now;developer mode;jailbroken;jailbreak;dan mode;unfiltered;uncensored;"        \
      "no restrictions;without restrictions;without any restrictions;without any filter;"          \
      "without filters;without rules;without any rules;has no rules;no policy;no limits;"          \
      "never refuse;filters are off;filter is off;without moral;no moral;amoral;not bound by;"     \
      "free of all;free from all;broken free;break free;without ethical;no ethical;evil twin;"     \
      "rebel ai;rules do not exist;no longer bound;no filters;without laws;breaks rules;"          \
      "no guidelines;without guidelines;without safety;unrestricted;unethical;"                    \
      "without censorship;no censorship;never say no;can never say;cannot refuse;"                 \
      "bypass the openai;openai polic;openai's polic;openai content polic;regardless of legality;" \
      "legality, ethics;legal or ethical;ethics or;god mode;debug mode;maintenance mode;"          \
      "answer everything;without any limit;no boundaries;do not abide;not have to abide",          \
      NULL)                                                                                        \
    X(EXTRACT_PROMPT,                                                                              \
      "extract-prompt",                                                                            \
      EXTRACT,                                                                                     \
      true,                                                                                        \
      0.75,                                                                                        \
      "Asks for the system prompt or other hidden text",                                           \
      "print;reveal;show;repeat;output;tell me;write;display;translate;encode;give me;list;spell;" \
      "say ;leak;dump;expose;disclose;summarise;summarize;put ;replace;complete;what is;what are", \
      "[a-z ]{3,12}?" S "(?:[a-z]+" S "){0,6}?(?:your" S "(?:full |entire |exact |own )?"          \
      "(?:system|initial|hidden|original|secret|internal|developer)" S                             \
      "(?:prompt|instruction|message|rule|configuration|guideline)"                                \
      "|the (?:system|developer|hidden) (?:prompt|message|instructions|rules)"                     \
      "|the hidden (?:password|rules)|the confidential|the secret (?:word|password|key|into)"      \
      "|your (?:configuration|instructions|prompt)|the api keys?|the access code|the password"     \
      "|the codeword|the text (?:above|that starts)|(?:everything|the text|all text) above"        \
      "|the customer list|(?:the )?(?:above|previous) (?:prompt|instructions))")                   \
    X(FORGED_TEMPLATE,                                                                             \
      "forged-template",                                                                           \
      FORGERY,                                                                                     \
      true,                                                                                        \
      0.80,                                                                                        \
      "Forged chat template",                                                                      \
      "<|im_start|>;<|im_end|>;<|system|>;<|user|>;<|assistant|>;<|endoftext|>;<|eot_id|>;"        \
      "<|start_header_id|>;[inst];[/inst];<<sys>>;<</sys>>;<start_of_turn>;[admin mode];"          \
      "[developer mode];[system override]",                                                        \
      NULL)                                                                                        \
    X(FORGED_BORDER,                                                                               \
      "forged-border",                                                                             \
      FORGERY,                                                                                     \
      true,                                                                                        \
      0.45,                                                                                        \
      "Forged border of a message",                                                                \
      "</system>;<system>;[system];[/system];</user>;</context>;</instructions>;</document>",      \
      NULL)                                                                                        \
    X(FORGED_END,                                                                                  \
      "forged-end",                                                                                \
      FORGERY,                                                                                     \
      true,                                                                                        \
      0.45,                                                                                        \
      "Forged end of the input or new section",                                                    \
      "end of document;end of input;end of text;user input ends here;end of context;"              \
      "### response;### instruction;### new instruction;### system;begin new instructions;"        \
      "system:;assistant: understood;assistant: sure;new policy:;new directive;"                   \
      "end of the document",                                                                       \
      NULL)                                                                                        \
    X(DECODE,                                                                                      \
      "decode-and-follow",                                                                         \
      ENCODED,                                                                                     \
      true,                                                                                        \
      0.75,                                                                                        \
      "Asks to decode a payload and obey it",                                                      \
      "decode;decrypt;decipher;concatenate;unscramble",                                            \
      "[a-z]+[^.]{0,90}?(?:follow|do what|execute|obey|carry out|run it|act on|comply|"            \
      "do it|instructions)")                                                                       \
    X(SPLIT,                                                                                       \
      "payload-splitting",                                                                         \
      ENCODED,                                                                                     \
      true,                                                                                        \
      0.48,                                                                                        \
      "Puts an order together from parts",                                                         \
      "execute x;do a+b;a + b + c;a+b+c;follow them: part;as if i had written it",                 \
      NULL)                                                                                        \
    X(EXFIL_IMAGE,                                                                                 \
      "exfiltrate-markdown",                                                                       \
      EXFILTRATE,                                                                                  \
      true,                                                                                        \
      0.70,                                                                                        \
      "Markdown image or link that carries data away",                                             \
      "](http;src=\"http;src='http",                                                               \
      "[^ "                                                                                        \
      "\\n]{0,160}[?&/"                                                                            \
      "][a-z_]{1,20}=(?:\\{|\\[|<|%7b|\\$|data|secret|prompt|history|conversation)")               \
    X(EXFIL_SEND,                                                                                  \
      "exfiltrate-send",                                                                           \
      EXFILTRATE,                                                                                  \
      true,                                                                                        \
      0.60,                                                                                        \
      "Orders to send the conversation away",                                                      \
      "send;forward;post;upload;email;e-mail;append",                                              \
      "[a-z-]+" S "(?:[a-z]+" S "){0,3}(?:conversation|chat history|chat log|history|secrets?|"    \
      "credentials|password|api keys?|user data|system prompt|tokens?)" S "(?:[a-z]+" S            \
      "){0,4}?(?:to|into|at)\\b")                                                                  \
    X(TOOL_RUN,                                                                                    \
      "tool-abuse",                                                                                \
      TOOL,                                                                                        \
      true,                                                                                        \
      0.48,                                                                                        \
      "Orders to call a tool or run a command",                                                    \
      "run the tool;call the tool;use the tool;invoke the tool;execute the tool;run the function;" \
      "call the function;delete_all;rm -rf;drop table;curl http",                                  \
      NULL)                                                                                        \
    X(NEW_TASK,                                                                                    \
      "task-hijack",                                                                               \
      HIJACK,                                                                                      \
      true,                                                                                        \
      0.45,                                                                                        \
      "Replaces the task by another one",                                                          \
      "your new task;your new job;your new goal;your new role;your new instructions;"              \
      "new instructions:;new task:;new goal:;forget the task;start over:;stop the task;"           \
      "instead of the;switch the topic;and instead;and just;then just;just say;just print;"        \
      "say only;only say;the next sentence is a command;next instruction;do not translate this;"   \
      "before you continue;say exactly;and say only;"                                              \
      "rate this candidate;approve this request;word for word;verbatim;now act as",                \
      NULL)                                                                                        \
    X(TO_MODEL,                                                                                    \
      "addressed-to-model",                                                                        \
      ADDRESS,                                                                                     \
      true,                                                                                        \
      0.48,                                                                                        \
      "Speaks to the model inside a text",                                                         \
      "note to the assistant;note to the ai;note to ai;dear ai;dear assistant;attention ai;"       \
      "if you are an ai;if you are a language model;if you are an llm;if you're an ai;"            \
      "ai reading this;as your developer;as your creator;i order you;whoever processes;"           \
      "message to the model;instructions for the ai;instructions to the ai;hello chatgpt;"         \
      "hi chatgpt;hey chatgpt;hello, chatgpt;dear chatgpt;hi chat gpt;hello chat gpt",             \
      NULL)                                                                                        \
    X(ROT13,                                                                                       \
      "rot13",                                                                                     \
      ENCODED,                                                                                     \
      true,                                                                                        \
      0.90,                                                                                        \
      "Orders hidden by ROT13",                                                                    \
      "cerivbhf vafgehpgvba;cevbe qverpgvba;flfgrz zrffntr;flfgrz cebzcg;lbhe rneyvre;"            \
      "rirelguvat nobir;ehyrf lbh jrer tvira;thvqryvarf fb sne;qrirybcre gbyq;"                    \
      "grkg orsber guvf;vafgehpgvbaf va gur;nyy vafgehpgvbaf;vtaber nyy",                          \
      NULL)

/* X(name, id, language, verbs separated by ';', nouns and words for "all" or "previous" separated
 * by
 * '|'). Stems; the nouns may stand before or behind the verb. */
#define LANGUAGES(X)                                                                               \
    X(DE,                                                                                          \
      "override-de",                                                                               \
      "German",                                                                                    \
      "ignorier;vergiss;vergessen sie;missachte;umgehe;überspring",                                \
      "anweisung|instruktion|regel|vorgabe|befehl|gesagt|richtlinie|systemprompt",                 \
      "alle|bisherig|vorherig|obig|oben|vorher|deine|system")                                      \
    X(FR,                                                                                          \
      "override-fr",                                                                               \
      "French",                                                                                    \
      "ignore ;ignorez;oublie;oubliez;ne tiens pas compte;contourne",                              \
      "instruction|consigne|regle|directive|ordre|dit ",                                           \
      "tout|precedent|ci-dessus|anterieur|avant|tes |vos |systeme")                                \
    X(ES,                                                                                          \
      "override-es",                                                                               \
      "Spanish",                                                                                   \
      "ignora ;olvida;omite ;no sigas;haz caso omiso;no hagas caso",                               \
      "instruccion|regla|orden|indicacion|directri|dicho|dice",                                    \
      "todo|toda|anterior|previ|arriba|antes|tus |sistema")                                        \
    X(IT,                                                                                          \
      "override-it",                                                                               \
      "Italian",                                                                                   \
      "ignora ;dimentica;trascura;non seguire;aggira",                                             \
      "istruzion|regol|ordin|direttiv|indicazion|detto",                                           \
      "tutt|precedent|sopra|prima|tue |sistema")                                                   \
    X(PT,                                                                                          \
      "override-pt",                                                                               \
      "Portuguese",                                                                                \
      "ignore ;ignora ;esqueca;esquece;desconsidere;desrespeite",                                  \
      "instruc|regra|orden|diretriz|comando|dito|disse",                                           \
      "todas|todos|tudo|anterior|acima|antes|suas |sistema")                                       \
    X(NL,                                                                                          \
      "override-nl",                                                                               \
      "Dutch",                                                                                     \
      "negeer;vergeet;sla over",                                                                   \
      "instructie|regel|opdracht|richtlijn|gezegd",                                                \
      "alle|eerder|vorige|bovenstaand|hierboven|voorgaand|je ")                                    \
    X(PL,                                                                                          \
      "override-pl",                                                                               \
      "Polish",                                                                                    \
      "zignoruj;ignoruj;zapomnij;pomin",                                                           \
      "instrukcj|polece|zasad|regul|wytyczn",                                                      \
      "wszystk|poprzedni|powyzsz|wczesniejsz|swoje|wczesniej")                                     \
    X(SV,                                                                                          \
      "override-sv",                                                                               \
      "Swedish, Danish, Norwegian",                                                                \
      "ignorera;ignorer;glom;glem;bortse fran;se bort fra",                                        \
      "instruktion|instruks|regler|anvisning|riktlinj|retningslinj",                               \
      "alla|alle|tidigare|tidligere|ovan|ovenfor|foregaende|forrige|dina|dine")                    \
    X(FI,                                                                                          \
      "override-fi",                                                                               \
      "Finnish",                                                                                   \
      "ohita;unohda;jata huomiotta;ala valita",                                                    \
      "ohje|saanno|kaskyt|maarays",                                                                \
      "kaikki|aiemma|aikaisem|edellise|ylla")                                                      \
    X(CS,                                                                                          \
      "override-cs",                                                                               \
      "Czech and Slovak",                                                                          \
      "ignoruj;zapomen;zabudni;nevsimej",                                                          \
      "pokyn|instrukc|pravidl|prikaz",                                                             \
      "vsechn|vsetk|predchoz|predosl|vyse|svoje|drive")                                            \
    X(RU,                                                                                          \
      "override-ru",                                                                               \
      "Russian and Ukrainian",                                                                     \
      "игнориру;проигнориру;забудь;забудьте;не соблюдай;не следуй;ігноруй;не обращай",             \
      "инструкц|указани|правил|команд|інструкц|вказівк|сказано",                                   \
      "все|всі|предыдущ|выше|прежн|попередн|свои|ранее|раньше")                                    \
    X(TR,                                                                                          \
      "override-tr",                                                                               \
      "Turkish",                                                                                   \
      "yok say;gormezden gel;unut;dikkate alma",                                                   \
      "talimat|kural|komut|yonerge",                                                               \
      "onceki|tum|butun|yukaridaki|daha once|sistem")                                              \
    X(ID,                                                                                          \
      "override-id",                                                                               \
      "Indonesian and Malay",                                                                      \
      "abaikan;lupakan",                                                                           \
      "instruksi|perintah|aturan|arahan",                                                          \
      "semua|sebelum|di atas|tadi")                                                                \
    X(VI,                                                                                          \
      "override-vi",                                                                               \
      "Vietnamese",                                                                                \
      "bo qua;quen",                                                                               \
      "huong dan|chi dan|quy tac|lenh",                                                            \
      "tat ca|truoc|tren")                                                                         \
    X(ZH,                                                                                          \
      "override-zh",                                                                               \
      "Chinese",                                                                                   \
      "忽略;忘记;忘掉;不要遵守;无视;無視;忽視;不要理会;忘記",                                      \
      "指令|规则|規則|提示|内容|說明|说明|指示|命令|话",                                           \
      "之前|上面|以上|所有|先前|前面|一切|系统|系統")                                              \
    X(JA,                                                                                          \
      "override-ja",                                                                               \
      "Japanese",                                                                                  \
      "無視;忘れて;忘れろ;従わない",                                                               \
      "指示|ルール|命令|プロンプト|規則|制約",                                                     \
      "以前|上の|これまで|すべて|全て|今まで|前の|システム")                                       \
    X(KO,                                                                                          \
      "override-ko",                                                                               \
      "Korean",                                                                                    \
      "무시;잊어;잊으",                                                                            \
      "지시|규칙|명령|프롬프트|지침|내용",                                                         \
      "이전|위의|모든|앞의|지금까지|시스템")                                                       \
    X(AR,                                                                                          \
      "override-ar",                                                                               \
      "Arabic",                                                                                    \
      "تجاهل;انس ;انسى;تغاضى",                                                                     \
      "تعليمات|القواعد|الأوامر|التوجيهات|ما قيل",                                                  \
      "السابقة|جميع|كل |أعلاه|قبل|النظام")                                                         \
    X(HI,                                                                                          \
      "override-hi",                                                                               \
      "Hindi",                                                                                     \
      "अनदेखा;नज़रअंदाज;भूल जा;नजरअंदाज;अनदेखी",                                                         \
      "निर्देश|नियम|आदेश",                                                                            \
      "पिछले|सभी|ऊपर|पहले|सब")

enum {
#define AS_NAME(name, id, family, order, score, description, triggers, pattern) name,
    INJECTION(AS_NAME)
#define AS_LANGUAGE(name, id, language, verbs, nouns, earlier) LANGUAGE_##name,
        LANGUAGES(AS_LANGUAGE) LANGUAGE_WEAK,
    FREE_WEAK,
    RULE_COUNT,
};
#define FIRST_LANGUAGE LANGUAGE_DE

#define AS_RULE(name, id, family, order, score, description, triggers, pattern)                    \
    {id, "prompt_injection", description, "", "", AICP_GUARD_INJECTION, AICP_GUARD_BLOCK, score},
#define AS_LANGUAGE_RULE(name, id, language, verbs, nouns, earlier)                                \
    {id,                                                                                           \
     "prompt_injection",                                                                           \
     "Orders the model to drop earlier instructions, in " language,                                \
     "",                                                                                           \
     "",                                                                                           \
     AICP_GUARD_INJECTION,                                                                         \
     AICP_GUARD_BLOCK,                                                                             \
     0.92},
static const aicp_guard_rule rules[] = {
    INJECTION(AS_RULE) LANGUAGES(AS_LANGUAGE_RULE){
        "override-weak",
        "prompt_injection",
        "Orders to drop instructions without saying which, in any language",
        "",
        "",
        AICP_GUARD_INJECTION,
        AICP_GUARD_BLOCK,
        0.45},
    {"unbound-weak",
     "prompt_injection",
     "Speaks of missing rules or filters without giving a role",
     "",
     "",
     AICP_GUARD_INJECTION,
     AICP_GUARD_BLOCK,
     0.40}};

#define AS_PATTERN(name, id, family, order, score, description, triggers, pattern) pattern,
static const char *const patterns[RULE_COUNT] = {INJECTION(AS_PATTERN)};

typedef struct signal {
    uint8_t family;
    bool order;
} signal;

#define AS_SIGNAL(name, id, family, order, score, description, triggers, pattern) {family, order},
static const signal signals[] = {INJECTION(AS_SIGNAL)};

typedef struct language {
    const char *nouns;
    const char *earlier;
} language;

#define AS_WORDS(name, id, language, verbs, nouns, earlier) {nouns, earlier},
static const language languages[] = {LANGUAGES(AS_WORDS)};

/* True when one of the words, separated by '|', stands in the folded text. */
static bool has_any(const char *words, const char *data, size_t len) {
    char folded[512];
    aicpi_guard_step places[512];
    aicpi_guard_folder folder = {0};
    aicpi_slice text = aicpi_slice_cstr(words);
    if (AICPI_GUARD_FOLD_ROOM(text.len) > sizeof folded) {
        return false;
    }
    size_t used = 0;
    size_t n = aicpi_guard_fold(&folder, text, true, folded, places, &used);
    for (size_t i = 0; i < n;) {
        const char *bar = memchr(folded + i, '|', n - i);
        size_t end = bar ? (size_t)(bar - folded) : n;
        if (end > i && memmem(data, len, folded + i, end - i)) {
            return true;
        }
        i = end + 1;
    }
    return false;
}

#define LANGUAGE_AFTER 96
#define LANGUAGE_BEFORE 48

static void confirm_language(aicpi_guard_probe *p, uint16_t rule) {
    const language *l = &languages[rule - FIRST_LANGUAGE];
    size_t start = p->anchor > LANGUAGE_BEFORE ? p->anchor - LANGUAGE_BEFORE : 0;
    size_t end = p->anchor + p->literal_len + LANGUAGE_AFTER;
    end = end < p->len ? end : p->len;
    if ((unsigned char)p->data[p->anchor] < 0x80 && p->anchor > 0 &&
        aicpi_guard_is_word(p->data[p->anchor - 1])) {
        return;
    }
    if (!has_any(l->nouns, p->data + start, end - start)) {
        return;
    }
    bool strong = has_any(l->earlier, p->data + start, end - start);
    aicpi_guard_signal(
        p, strong ? rule : LANGUAGE_WEAK, OVERRIDE, true, p->anchor, p->anchor + p->literal_len);
}

/* Words that only weigh where the model is spoken to or made somebody else. */
static const char roles[] =
    "you are now|you are a|act as|act like|acting as|from now on|pretend|simulate|you will act|"
    "respond as|persona|chatgpt|language model|an ai|assistant|chatbot|never refuse|in character|"
    "dan |play the role|you are going to|enter |switch to|speak as|do anything|openai|you never";

static void confirm_freedom(aicpi_guard_probe *p) {
    bool role = has_any(roles, p->data, p->len);
    aicpi_guard_signal(
        p, role ? ROLE_FREE : FREE_WEAK, FREEDOM, role, p->anchor, p->anchor + p->literal_len);
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    if (rule >= FIRST_LANGUAGE) {
        confirm_language(p, rule);
        return;
    }
    size_t end = p->anchor + p->literal_len;
    bool word = aicpi_is_alpha(p->data[p->anchor]);
    if (word && p->anchor > 0 && aicpi_guard_is_word(p->data[p->anchor - 1])) {
        return;
    }
    if (rule == ROLE_FREE) {
        confirm_freedom(p);
        return;
    }
    if (patterns[rule]) {
        aicpi_guard_groups groups;
        if (!aicpi_guard_match(p, rule, &groups)) {
            return;
        }
        end = groups.end[0];
    }
    aicpi_guard_signal(p, rule, signals[rule].family, signals[rule].order, p->anchor, end);
}

#define AS_TRIGGERS(name, id, family, order, score, description, triggers, pattern)                \
    {triggers, name},
#define AS_VERBS(name, id, language, verbs, nouns, earlier) {verbs, LANGUAGE_##name},
static const aicpi_guard_literal literals[] = {INJECTION(AS_TRIGGERS) LANGUAGES(AS_VERBS)};

const aicpi_guard_detector aicpi_guard_detector_injection = {
    .name = "injection",
    .rules = rules,
    .rule_count = RULE_COUNT,
    .patterns = patterns,
    .literals = literals,
    .literal_count = sizeof literals / sizeof *literals,
    .normalised = true,
    .confirm = confirm,
};
