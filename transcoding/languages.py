"""Languages: their tags (BCP 47, RFC 5646), by what containers and people write, and their names in English."""

import re
from collections.abc import Mapping
from types import MappingProxyType

_ISO_639 = """
    aa aar: Afar; ab abk: Abkhazian; af afr: Afrikaans; ak aka: Akan; am amh: Amharic; ar ara: Arabic;
    an arg: Aragonese; as asm: Assamese; av ava: Avaric; ae ave: Avestan; ay aym: Aymara; az aze: Azerbaijani;
    ba bak: Bashkir; bm bam: Bambara; be bel: Belarusian; bn ben: Bengali; bh bih: Bihari; bi bis: Bislama;
    bo bod tib: Tibetan; bs bos: Bosnian; br bre: Breton; bg bul: Bulgarian; ca cat: Catalan; cs ces cze: Czech;
    ch cha: Chamorro; ce che: Chechen; cu chu: Church Slavonic; cv chv: Chuvash; kw cor: Cornish; co cos: Corsican;
    cr cre: Cree; cy cym wel: Welsh; da dan: Danish; de deu ger: German; dv div: Divehi; dz dzo: Dzongkha;
    el ell gre: Greek; en eng: English; eo epo: Esperanto; et est: Estonian; eu eus baq: Basque; ee ewe: Ewe;
    fo fao: Faroese; fa fas per: Persian; fj fij: Fijian; fi fin: Finnish; fr fra fre: French;
    fy fry: Western Frisian; ff ful: Fulah; gd gla: Scottish Gaelic; ga gle: Irish; gl glg: Galician; gv glv: Manx;
    gn grn: Guarani; gu guj: Gujarati; ht hat: Haitian Creole; ha hau: Hausa; he heb: Hebrew; hz her: Herero;
    hi hin: Hindi; ho hmo: Hiri Motu; hr hrv: Croatian; hu hun: Hungarian; hy hye arm: Armenian; ig ibo: Igbo;
    io ido: Ido; ii iii: Nuosu; iu iku: Inuktitut; ie ile: Interlingue; ia ina: Interlingua; id ind: Indonesian;
    ik ipk: Inupiaq; is isl ice: Icelandic; it ita: Italian; jv jav: Javanese; ja jpn: Japanese;
    kl kal: Greenlandic; kn kan: Kannada; ks kas: Kashmiri; ka kat geo: Georgian; kr kau: Kanuri; kk kaz: Kazakh;
    km khm: Khmer; ki kik: Kikuyu; rw kin: Kinyarwanda; ky kir: Kyrgyz; kv kom: Komi; kg kon: Kongo;
    ko kor: Korean; kj kua: Kuanyama; ku kur: Kurdish; lo lao: Lao; la lat: Latin; lv lav: Latvian;
    li lim: Limburgish; ln lin: Lingala; lt lit: Lithuanian; lb ltz: Luxembourgish; lu lub: Luba-Katanga;
    lg lug: Ganda; mh mah: Marshallese; ml mal: Malayalam; mr mar: Marathi; mk mkd mac: Macedonian;
    mg mlg: Malagasy; mt mlt: Maltese; mn mon: Mongolian; mi mri mao: Maori; ms msa may: Malay;
    my mya bur: Burmese; na nau: Nauru; nv nav: Navajo; nr nbl: Southern Ndebele; nd nde: Northern Ndebele;
    ng ndo: Ndonga; ne nep: Nepali; nl nld dut: Dutch; nn nno: Norwegian Nynorsk; nb nob: Norwegian Bokmål;
    no nor: Norwegian; ny nya: Chewa; oc oci: Occitan; oj oji: Ojibwa; or ori: Oriya; om orm: Oromo;
    os oss: Ossetian; pa pan: Punjabi; pi pli: Pali; pl pol: Polish; pt por: Portuguese; ps pus: Pashto;
    qu que: Quechua; rm roh: Romansh; ro ron rum: Romanian; rn run: Rundi; ru rus: Russian; sg sag: Sango;
    sa san: Sanskrit; si sin: Sinhala; sk slk slo: Slovak; sl slv: Slovenian; se sme: Northern Sami;
    sm smo: Samoan; sn sna: Shona; sd snd: Sindhi; so som: Somali; st sot: Southern Sotho; es spa: Spanish;
    sq sqi alb: Albanian; sc srd: Sardinian; sr srp: Serbian; ss ssw: Swati; su sun: Sundanese; sw swa: Swahili;
    sv swe: Swedish; ty tah: Tahitian; ta tam: Tamil; tt tat: Tatar; te tel: Telugu; tg tgk: Tajik;
    tl tgl: Tagalog; th tha: Thai; ti tir: Tigrinya; to ton: Tongan; tn tsn: Tswana; ts tso: Tsonga;
    tk tuk: Turkmen; tr tur: Turkish; tw twi: Twi; ug uig: Uyghur; uk ukr: Ukrainian; ur urd: Urdu; uz uzb: Uzbek;
    ve ven: Venda; vi vie: Vietnamese; vo vol: Volapük; wa wln: Walloon; wo wol: Wolof; xh xho: Xhosa;
    yi yid: Yiddish; yo yor: Yoruba; za zha: Zhuang; zh zho chi: Chinese; zu zul: Zulu
"""
"""Languages with a code of two letters (ISO 639-1), then that of three (639-2/T), a bibliographic one, and the name."""
UNDETERMINED = "und"
"""The tag of a text whose language nobody states."""
_ENTRY = re.compile(r"\s*([a-z ]+): ([^;]+)")
MAX_TAG_LENGTH = 35
"""Long enough for every tag in use (RFC 5646, section 4.4.1)."""
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3}|[a-z]{4,8})(?P<extended>(?:-[a-z]{3}){0,3})"
    r"(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?P<rest>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?)",
    re.ASCII,
)

_CODES = tuple((tuple(codes.split()), name.strip()) for codes, name in _ENTRY.findall(_ISO_639))
_SHORT: Mapping[str, str] = MappingProxyType({code: codes[0] for codes, _ in _CODES for code in codes})
_LONG: Mapping[str, str] = MappingProxyType({code: codes[1] for codes, _ in _CODES for code in codes})
_NAMES: Mapping[str, str] = MappingProxyType({codes[0]: name for codes, name in _CODES} | {UNDETERMINED: "Unknown"})


def language_tag(written: str) -> str:
    """Return the tag of a language as containers or people write it: the shortest code, "de" for "ger" and "deu".

    A language without a code of two letters keeps its own. Scripts and regions get their usual case. Nothing is
    returned for what has not the form of a tag.
    """
    found = _TAG.fullmatch(written.lower()) if len(written) <= MAX_TAG_LENGTH else None
    if found is None:
        return ""
    language = _SHORT.get(found["language"], found["language"])
    parts = (f"{language}{found['extended']}", (found["script"] or "").title(), (found["region"] or "").upper())
    return "-".join(filter(None, parts)) + found["rest"]


def language_of_mp4(written: str) -> str:
    """Return the code of three letters that MP4 has (ISO 639-2/T), "deu" for "de-AT"; what has none stays as it is."""
    language = written.partition("-")[0].lower()
    return _LONG.get(language, language)


def language_name(written: str) -> str:
    """Return the English name of a language, with its region or script: "German", "Portuguese (BR)".

    It is the tag where the language has no name here, and empty where there is no tag.
    """
    language, *more = language_tag(written).split("-")
    name = _NAMES.get(language, language)
    return f"{name} ({', '.join(more)})" if more else name
