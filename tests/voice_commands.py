"""A small classifier of voice commands in three languages, thirty sentences that it may get wrong, and a memory.

The encoder is random, and the head is fitted by least squares: nothing is trained step by step, so that the same model
comes out on every processor, up to rounding.
"""

import csv
import itertools
import json

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

LABELS = ("alarm_set", "light_off", "message_send", "music_play", "weather_query")
LANGUAGES = ("en", "de", "fr")

WHEN = {
    "en": ["at six", "at seven", "tomorrow", "on monday", "tonight", "in the morning"],
    "de": ["um sechs", "um sieben", "morgen", "am montag", "heute abend", "in der frühe"],
    "fr": ["à six heures", "à sept heures", "demain", "lundi", "ce soir", "le matin"],
}
WHERE = {
    "en": ["in the kitchen", "in the hall", "in the bedroom", "outside", "upstairs", "in the office"],
    "de": ["in der küche", "im flur", "im schlafzimmer", "draußen", "oben", "im büro"],
    "fr": ["dans la cuisine", "dans le couloir", "dans la chambre", "dehors", "en haut", "au bureau"],
}
WHO = {
    "en": ["anna", "my mother", "the boss", "paul", "my sister", "the neighbours"],
    "de": ["anna", "meiner mutter", "dem chef", "paul", "meiner schwester", "den nachbarn"],
    "fr": ["anna", "ma mère", "le chef", "paul", "ma sœur", "les voisins"],
}
WHAT = {
    "en": ["some jazz", "the radio", "a waltz", "my songs", "the new album", "some opera"],
    "de": ["etwas jazz", "das radio", "einen walzer", "meine lieder", "das neue album", "etwas oper"],
    "fr": ["du jazz", "la radio", "une valse", "mes chansons", "le nouvel album", "un opéra"],
}
SAID = {
    "alarm_set": (
        WHEN,
        {
            "en": ["set an alarm {}", "wake me {}"],
            "de": ["stell einen wecker {}", "weck mich {}"],
            "fr": ["mets un réveil {}", "réveille-moi {}"],
        },
    ),
    "light_off": (
        WHERE,
        {
            "en": ["turn off the light {}", "lights out {}"],
            "de": ["mach das licht aus {}", "licht aus {}"],
            "fr": ["éteins la lumière {}", "coupe la lampe {}"],
        },
    ),
    "message_send": (
        WHO,
        {
            "en": ["send a message to {}", "text {}"],
            "de": ["schick {} eine nachricht", "schreib {}"],
            "fr": ["envoie un message à {}", "écris à {}"],
        },
    ),
    "music_play": (
        WHAT,
        {"en": ["play {}", "put on {}"], "de": ["spiel {}", "leg {} auf"], "fr": ["joue {}", "passe {}"]},
    ),
    "weather_query": (
        WHEN,
        {
            "en": ["will it rain {}", "how is the weather {}"],
            "de": ["regnet es {}", "wie wird das wetter {}"],
            "fr": ["va-t-il pleuvoir {}", "quel temps fait-il {}"],
        },
    ),
}

CALLS = {
    "monday": [
        (
            "alarm_set",
            "get me up before the sun",
            "hol mich vor der sonne aus dem bett",
            "tire-moi du lit avant le soleil",
        ),
        ("music_play", "i want to hear a waltz", "ich will einen walzer hören", "je veux entendre une valse"),
        (
            "light_off",
            "it is too bright in the bedroom",
            "im schlafzimmer ist es zu hell",
            "il y a trop de lumière dans la chambre",
        ),
        (
            "weather_query",
            "do i need an umbrella tomorrow",
            "brauche ich morgen einen schirm",
            "faut-il un parapluie demain",
        ),
        (
            "message_send",
            "tell my sister that i am late",
            "sag meiner schwester dass ich spät komme",
            "dis à ma sœur que je suis en retard",
        ),
        (
            "alarm_set",
            "i must not sleep past seven",
            "ich darf nicht länger als bis sieben schlafen",
            "je ne dois pas dormir après sept heures",
        ),
        ("music_play", "some opera would be nice", "etwas oper wäre schön", "un opéra serait agréable"),
        ("light_off", "make it dark upstairs", "mach es oben dunkel", "fais le noir en haut"),
    ],
    "tuesday": [
        ("weather_query", "is it going to freeze tonight", "friert es heute abend", "est-ce qu'il va geler ce soir"),
        (
            "message_send",
            "let the boss know i am ill",
            "lass den chef wissen dass ich krank bin",
            "fais savoir au chef que je suis malade",
        ),
        ("alarm_set", "i have a train at six", "mein zug fährt um sechs", "mon train part à six heures"),
        ("music_play", "i am in the mood for the radio", "mir ist nach radio", "j'ai envie de la radio"),
        (
            "light_off",
            "nobody is in the office any more",
            "im büro ist niemand mehr",
            "il n'y a plus personne au bureau",
        ),
        (
            "weather_query",
            "what should i wear on monday",
            "was soll ich am montag anziehen",
            "que dois-je mettre lundi",
        ),
        ("message_send", "ask paul where he is", "frag paul wo er ist", "demande à paul où il est"),
        (
            "alarm_set",
            "the baker rises at four",
            "der bäcker steht um vier auf",
            "le boulanger se lève à quatre heures",
        ),
    ],
    "wednesday": [
        ("music_play", "something to dance to", "etwas zum tanzen", "quelque chose pour danser"),
        ("light_off", "save power in the hall", "spar strom im flur", "économise le courant dans le couloir"),
        (
            "weather_query",
            "can we eat outside in the morning",
            "können wir in der frühe draußen essen",
            "pouvons-nous manger dehors le matin",
        ),
        (
            "message_send",
            "thank the neighbours for the cake",
            "dank den nachbarn für den kuchen",
            "remercie les voisins pour le gâteau",
        ),
        (
            "alarm_set",
            "do not let me miss the bus",
            "lass mich den bus nicht verpassen",
            "ne me laisse pas rater le bus",
        ),
        ("music_play", "let anna sing", "lass anna singen", "fais chanter anna"),
        (
            "light_off",
            "the lamp in the kitchen may rest",
            "die lampe in der küche hat feierabend",
            "la lampe de la cuisine peut se reposer",
        ),
    ],
    "thursday": [
        (
            "weather_query",
            "is the sun coming back tomorrow",
            "kommt die sonne morgen zurück",
            "le soleil revient-il demain",
        ),
        ("message_send", "my mother should call me", "meine mutter soll mich anrufen", "ma mère doit m'appeler"),
        (
            "alarm_set",
            "i want to be awake at seven",
            "ich will um sieben wach sein",
            "je veux être debout à sept heures",
        ),
        ("music_play", "the house is too quiet", "das haus ist zu still", "la maison est trop calme"),
        ("light_off", "time for bed upstairs", "oben ist schlafenszeit", "c'est l'heure de dormir en haut"),
        ("weather_query", "how warm is it outside", "wie warm ist es draußen", "quelle chaleur fait-il dehors"),
        (
            "message_send",
            "say happy birthday to anna",
            "gratulier anna zum geburtstag",
            "souhaite un bon anniversaire à anna",
        ),
    ],
}
"""What people said, day by day: the label that is wanted, and the sentence in three languages."""


def commands():
    """(language, text, label) of everything that the templates say."""
    return [
        (lang, template.format(slot), label)
        for label, (slots, templates) in SAID.items()
        for lang in LANGUAGES
        for template, slot in itertools.product(templates[lang], slots[lang])
    ]


def tokenizer_of(texts):
    """Whole words, and letters for the others."""
    normalizer, splitter = BertNormalizer(lowercase=True, strip_accents=False), BertPreTokenizer()
    words = sorted({word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))})
    letters = sorted({letter for word in words for letter in word})
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces = dict.fromkeys([*marks, *words, *letters, *(f"##{letter}" for letter in letters)])
    core = Tokenizer(WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    core.normalizer, core.pre_tokenizer = normalizer, splitter
    core.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=32, **names)


def make_model(ridge=1.0):
    """The classifier and its tokenizer."""
    rows = commands()
    tokenizer = tokenizer_of([text for _, text, _ in rows])
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=32,
        initializer_range=0.1,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = BertForSequenceClassification(config).eval()
        inputs = tokenizer([text for _, text, _ in rows], padding=True, return_tensors="pt")
        x = model.bert(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).pooler_output.double()
        y = torch.eye(len(LABELS), dtype=torch.float64)[[LABELS.index(label) for _, _, label in rows]]
        mean, middle = x.mean(0), y.mean(0)
        gram = (x - mean).T @ (x - mean) + ridge * torch.eye(x.shape[1], dtype=torch.float64)
        weight = torch.linalg.solve(gram, (x - mean).T @ (y - middle))
        model.classifier.weight.copy_(8 * weight.T)
        model.classifier.bias.copy_(8 * (middle - mean @ weight))
    return model, tokenizer


def write_files(folder):
    """The model, the memory, and the sentences of each day as tables."""
    for part in make_model():
        part.save_pretrained(folder / "voice")
    lines = (json.dumps({"lang": lang, "text": text}, ensure_ascii=False) for lang, text, _ in commands())
    (folder / "texts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for day, calls in CALLS.items():
        with (folder / f"{day}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("id", "lang", "text", "label"))
            for i, (label, *texts) in enumerate(calls, start=1):
                table.writerows(
                    (f"{day[:3]}-{i}", lang, text, label) for lang, text in zip(LANGUAGES, texts, strict=True)
                )
