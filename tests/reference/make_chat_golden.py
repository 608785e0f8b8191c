"""make_chat_golden.py - tests/data/chat/golden.json: what Jinja itself makes of templates and expressions.

Renders every tests/data/chat/*.jinja over the conversations below, and each expression below by itself, with the
settings of transformers' apply_chat_template. Where Jinja refuses, null stands. The templates are written after the
shapes of published ones.

Needs jinja2 (3.1.6). Run: python3 make_chat_golden.py DIR, DIR being tests/data/chat.

SPDX-License-Identifier: MIT
"""
import datetime
import glob
import json
import os
import sys

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2023, 11, 15, 12, 0, 0)  # 1700049600


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("render"), [], [], body).set_lineno(lineno)

    def render(self, caller):
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


ENV = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                    extensions=[Generation, jinja2.ext.loopcontrols])
ENV.filters["tojson"] = tojson
ENV.globals.update(raise_exception=raise_exception, strftime_now=NOW.strftime)


def render(source, variables):
    try:
        return ENV.from_string(source).render(**variables)
    except Exception:  # whatever Jinja refuses, for whatever reason
        return None


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return dict({"role": "assistant", "content": text}, **more)


def system(text):
    return {"role": "system", "content": text}


TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "The \"weather\"\nof a city",
                                      "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "enum": ["Köln", "Paris"]},
                                         "days": {"type": "integer", "default": 3}, "at": {"type": ["string", "null"]}},
        "required": ["city"]}}},
    {"type": "function", "function": {"name": "secret", "description": "<none>", "parameters": {
        "type": "object", "properties": {"list": {"type": "array", "items": {"type": "number"}}, "any": {}},
        "required": []}}},
]
CALL = {"id": "call12345", "type": "function",
        "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2, "x": 1.0, "y": None, "z": True}}}
CALL_TEXT = {"id": "call12345", "type": "function",
             "function": {"name": "get_weather", "arguments": json.dumps({"city": "Köln"})}}
RESULT = {"role": "tool", "content": "12 °C", "name": "get_weather", "tool_call_id": "call12345"}
CONVERSATIONS = {
    "one": {"messages": [user("Hello there")]},
    "system": {"messages": [system("You are  nice. "), user("Hi <|im_end|> \n")]},
    "long": {"messages": [system("S"), user("q1"), assistant(" a1\n"), user("q2"), assistant(""),
                          user("日本語 ñ\t\"x\"")]},
    "ended": {"messages": [user("q1"), assistant("a1")], "add_generation_prompt": False},
    "thought": {"messages": [user("q1"), assistant("<think>\nhm\n</think>\n\nanswer"), user("q2")]},
    "reasoned": {"messages": [user("q1"), assistant("answer", reasoning_content="because")], "enable_thinking": False},
    "tools": {"messages": [system("s"), user("weather?")], "tools": TOOLS},
    "called": {"messages": [user("weather?"), assistant("", tool_calls=[CALL]), RESULT, user("thanks")],
               "tools": TOOLS},
    "called_text": {"messages": [user("weather?"), assistant(None, tool_calls=[CALL_TEXT]), RESULT], "tools": TOOLS},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": " one "}, {"type": "image"}]}]},
    "two_users": {"messages": [user("a"), user("b")]},
    "documents": {"messages": [user("q")], "documents": [{"title": "T", "text": "body"}, {"text": "more"}]},
}
COMMON = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True, "tools": None, "documents": None}

# One a line. `m` is the conversation "called", the other variables are those of VARIABLES.
VARIABLES = {"m": CONVERSATIONS["called"]["messages"], "tools": TOOLS, "s": "  Hello Wörld \n", "n": 7, "f": 2.5,
             "l": [3, 1, 2], "d": {"b": 1, "a": [True, None], "items": 5}, "e": [], "t": True, "z": None,
             "names": [{"n": "b", "v": 2}, {"n": "A", "v": 1}, {"n": "c"}]}
EXPRESSIONS = r"""
1 + 2 * 3 - 4
(1 + 2) * 3
7 / 2
6 / 2
7 // 2
-7 // 2
7 // -2
-7 % 3
7 % -3
7.5 // 2
-7.5 % 2
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
2.0 ** 3
1e3
1.5e-7
1e16
123456789012345680.0
0.1 + 0.2
1 / 3
100000000000000000000.0
1.0
-0.0
5e-324
1.7976931348623157e308
3.14159
0x1f
0b101
0o17
1_000
10 ** 15 / 1
true + 1
True
none
None
false
[1, 2.0, 'a', none, true]
(1,)
(1, 2)
()
1, 2
{'a': 1, "b": [2]}
{}
[]
'a' 'b'
'it\'s'
"say \"x\""
'\n\t\\ \x41 \u00e9 \U0001f600 \101 \q'
['it\'s', 'say "x"', 'both \' "']
['\n\t\\ é \x00 \x7f']
'a' ~ 1 ~ none ~ 1.5 ~ [1]
'a' + 'b' * 3
'ab' * 2 + 'c'
[1] * 3
[1] + [2]
(1,) + (2,)
'a' + 1
1 + none
1 / 0
1 // 0
5 % 0
1 < 2 < 3
1 < 3 < 2
1 == 1.0
1 == true
'a' < 'b'
'a' < 1
[1, 2] < [1, 3]
[1] == [1]
(1,) == [1]
{'a': 1} == {'a': 1.0}
none == none
nope == none
nope == nope2
none == false
'' == none
'b' in 'abc'
'' in 'abc'
1 in [1, 2]
'a' in {'a': 1}
1 in 'abc'
'x' not in 'abc'
not 'x' in 'abc'
'x' in nope
1 in 5
not true
not not 1
not none and true
1 and 0
0 or 'x'
'' or none
none or [] or 'last'
1 and 2 and 3
true and not false or false
1 if true else 2
1 if false else 2
1 if false
'a' if 0 else 'b' if 0 else 'c'
-n
+n
--n
-'a'
n
f
s
l
d
e
t
z
nope
nope.x
nope['x']
none.x
z.x
d.b
d['b']
d.a[0]
d['a'][1]
d.nope
d.nope.x
d['nope']
d.items is callable
d['items']
l[0]
l[-1]
l[5]
l[-5]
l['x']
l[true]
l.0
m[1].tool_calls[0]['function'].arguments.city
m[0]['content']
m[-1].role
m[1:3]|length
l[1:]
l[:1]
l[:-1]
l[-2:]
l[::2]
l[::-1]
l[2:0:-1]
l[5:]
l[:0]
l[-10:10]
l[::0]
s[2:7]
s[2]
s[-3]
s[100]
s[::-1]
'Wörld'[1]
'Wörld'[1:3]
'Wörld'[::-1]
'日本語'[-1]
'日本語'|length
'日本語'[:2]
(1, 2, 3)[1:]
n[1]
s.strip()
s.lstrip()
s.rstrip()
'xxaxx'.strip('x')
'xyaxy'.strip('yx')
'xxaxx'.lstrip('x')
'xxaxx'.rstrip('x')
'éaé'.strip('é')
'\u00a0a\u2003'.strip()
s.upper()
s.lower()
'ÄÖÜ äöü ñ ПРИВЕТ привет ΑΒΓ'.lower()
'ÄÖÜ äöü ñ ПРИВЕТ привет'.upper()
"it's a dog's life".title()
"it's a dog's life"|title
'hello-world (foo) [bar] <baz> x'|title
'hELLO wORLD'|capitalize
'hELLO'.capitalize()
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
' a  b c '.split()
' a  b c '.split(none, 1)
'a b c '.split(' ')
'a,b,c'.rsplit(',', 1)
''.split(',')
''.split()
'abc'.split('')
'a\nb\r\nc\n'.splitlines()
'a\n\nb'.splitlines(true)
'abc'.startswith('ab')
'abc'.startswith(('x', 'a'))
'abc'.endswith('bc')
'abc'.endswith('')
'aXbXc'.replace('X', '-')
'aXbXc'.replace('X', '-', 1)
'abc'.replace('', '-')
''.replace('', '-')
'aaa'.replace('aa', 'b')
'abcabc'.find('c')
'abcabc'.rfind('c')
'éabc'.find('c')
'abc'.find('x')
'abcabc'.find('c', 3)
'abc'.index('c')
'abc'.index('x')
'banana'.count('an')
'abc'.count('')
', '.join(['a', 'b'])
', '.join([1])
'-'.join('abc')
'abc'.isdigit()
'123'.isdigit()
''.isdigit()
'ab1'.isalnum()
'ab'.isalpha()
' \t'.isspace()
'ABC 1'.isupper()
'abc1'.islower()
'Abc'.islower()
'12'.islower()
'prefix-x'.removeprefix('prefix-')
'x.txt'.removesuffix('.txt')
'a-b-c'.partition('-')
'a-b-c'.rpartition('-')
'abc'.partition('-')
'abc'.rpartition('-')
'{} and {}'.format(1, 'x')
'{1}{0}{name}'.format(1, 2, name='n')
'{{}}'.format()
'abc'.nope
'abc'.nope()
d.items()|list
d.keys()|list
d.values()|list
d.get('b')
d.get('x')
d.get('x', 3)
l.index(2)
l.count(3)
l.index(9)
range(3)|list
range(1, 4)|list
range(5, 0, -2)|list
range(0)|list
range(3)|length
range(100001)|length
range(1, 2, 0)
range()
dict(a=1, b='x')
dict({'a': 1}, b=2)
namespace(a=1).a
namespace(a=1).b
joiner(', ')()
raise_exception('no')
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%d %B %A')
s|trim
'xxaxx'|trim('x')
n|trim
s|upper
s|lower
l|length
s|length
d|length
n|length
none|length
nope|length
l|count
l|join
l|join(', ')
l|join(n)
[1, none, 'x', 2.0]|join('-')
names|join(',', attribute='n')
'abc'|join('.')
nope|join
d|tojson
d|tojson(indent=2)
d|tojson(2)
l|tojson(indent=0)
e|tojson
e|tojson(indent=2)
{}|tojson(indent=4)
{'b': 1, 'a': {'z': 1, 'y': 2}}|tojson(sort_keys=true)
{'a': [1, 2]}|tojson(separators=(',', ':'))
{1: 'x', true: 'y', none: 'z', 1.5: 'w'}|tojson
'é "q" \\ / \n\t\x01 <&> \u2028 \x7f 😀'|tojson
'é "q" \x7f 😀'|tojson(ensure_ascii=true)
1.0|tojson
1e20|tojson
none|tojson
(1, 2)|tojson
nope|tojson
nope|default('x')
nope|d
none|default('x')
none|default('x', true)
''|default('x', boolean=true)
0|default(default_value=5)
nope.x|default('y')
d.nope|default('y')
'abc'|list
d|list
range(2)|list|string
l|first
l|last
e|first
e|last
'abc'|first
'abc'|last
d|first
names|map(attribute='n')|list
names|map(attribute='v', default=0)|list
names|map(attribute='v')|list
m|map(attribute='tool_calls.0.function.name')|list
['a', 'b']|map('upper')|list
['a ', ' b']|map('trim')|join('|')
[1, 2]|map('string')|join('+')
['1', 'x']|map('int', 9)|list
none|map('upper')|list
l|select('odd')|list
l|reject('odd')|list
l|select|list
[0, 1, '', none]|select|list
[0, 1, '', none]|reject|list
l|select('gt', 1)|list
l|select('in', [1, 9])|list
[1, 'a', none, 2.5]|select('number')|list
names|selectattr('v', 'defined')|list
names|selectattr('v', 'undefined')|map(attribute='n')|list
names|selectattr('v', 'equalto', 2)|map(attribute='n')|list
names|rejectattr('n', 'eq', 'b')|list|length
m|selectattr('role', 'in', ['user', 'tool'])|map(attribute='role')|join(',')
m|selectattr('tool_calls')|list|length
d|items|list
nope|items|list
l|items|list
d|dictsort
{'b': 1, 'A': 3, 'c': 2}|dictsort
{'b': 1, 'A': 3, 'c': 2}|dictsort(case_sensitive=true)
{'b': 1, 'A': 3, 'c': 2}|dictsort(by='value', reverse=true)
'a-b-c'|replace('-', '+')
'a-b-c'|replace('-', '+', 1)
n|replace('7', 'x')
'42'|int
' 42 '|int
'4.7'|int
'x'|int
'x'|int(5)
4.9|int
-4.9|int
none|int
true|int
'1.5'|float
'x'|float
'x'|float(2.5)
3|float
n|string
none|string
nope|string
2.5|round
3.5|round
2.567|round(2)
2.675|round(2)
-2.5|round
2.1|round(0, 'ceil')
2.19|round(1, 'floor')
42|round
1234|round(-2)
-5|abs
-5.5|abs
[1, 1, 'a', 'A', 2]|unique|list
[1, 'a', 'A']|unique(case_sensitive=true)|list
'a\nb\n\nc'|indent
'a\nb\n\nc'|indent(2, first=true)
'a\n\nb'|indent(2, blank=true)
'a\nb'|indent('> ')
'a\nb\n'|indent(1)
'<a href="x">&\''|escape
'<b>'|e
'<b>'|safe
('<b>'|safe) + '<i>'
('<b>'|e) + 'x'
('<b>'|safe) ~ '<i>'
l|sort
l|sort(reverse=true)
['b', 'A', 'c']|sort
['b', 'A', 'c']|sort(case_sensitive=true)
names|sort(attribute='n')|map(attribute='n')|join
[1, 'a']|sort
l|sum
names[:2]|sum(attribute='v')
l|sum(start=10)
l|min
l|max
e|min
['b', 'A']|min
l|reverse|list
'abc'|reverse
l|nope
l|join(', ')|upper|trim
l is defined
nope is defined
nope is undefined
d.nope is defined
d.b is defined
none is none
n is none
z is not none
s is string
n is string
d is mapping
l is mapping
l is iterable
s is iterable
n is iterable
l is sequence
d is sequence
n is sequence
n is number
f is number
true is number
's' is number
true is boolean
1 is boolean
n is integer
true is integer
f is float
n is float
true is true
1 is true
false is false
0 is false
n is odd
n is even
9 is divisibleby 3
9 is divisibleby(2)
n is equalto 7
n is eq(7)
n is ne 7
n is lt 8
n is greaterthan 6
n is in l
3 is in l
3 is sameas 3
'ab' is lower
'AB' is upper
'Ab' is upper
range is callable
n is callable
n is nope
not n is defined
n is not defined
n is defined and n > 3
'a' if n is defined else 'b'
1 is odd or 2 is odd
[1, 2] is iterable and 'x' is string
(n if n else 0) + 1
l[0] + l[n - 6]
'%s' if false else 'x'
{'a': {'b': [1, {'c': 'deep'}]}}.a.b[1].c
[[1, 2], [3]]|map('first')|list
[[1, 2], [3]]|sum(start=[])
1 +
(1
[1, 2
{'a' 1}
'unfinished
1 2
a..b
l[
|upper
}
""".strip("\n").split("\n")


def main(folder):
    rendered = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.jinja"))):
        source = open(path, encoding="utf-8", newline="").read()
        name = os.path.splitext(os.path.basename(path))[0]
        rendered[name] = {key: render(source, {**COMMON, **c}) for key, c in CONVERSATIONS.items()}
    golden = {
        "common": COMMON,
        "conversations": CONVERSATIONS,
        "rendered": rendered,
        "variables": VARIABLES,
        "expressions": [[e, render("{{ " + e + " }}", VARIABLES)] for e in EXPRESSIONS],
    }
    with open(os.path.join(folder, "golden.json"), "w", encoding="utf-8") as f:
        json.dump(golden, f, ensure_ascii=False, indent=0)
        f.write("\n")


main(sys.argv[1])
