"""Tokenizers made from nothing, with chat templates that behave like those of known models.

The templates are not copies: each is rewritten, as short as its known behaviour allows.
"""

from pathlib import Path

CHATML = """\
{%- if tools %}<|im_start|>system
{{ messages[0].content }}
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}
{%- for m in messages %}
{%- if m.role == 'tool' %}
{%- if messages[loop.index0 - 1].role != 'tool' %}<|im_start|>user{% endif %}
<tool_response>
{{ m.content }}
</tool_response>
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}<|im_end|>
{% endif %}
{%- elif not (tools and loop.first) %}<|im_start|>{{ m.role }}
THOUGHT{{ m.content }}
{%- for call in m.tool_calls or [] %}
<tool_call>
{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

QWEN_2_5 = CHATML.replace("THOUGHT", "")
"""Tools in the system prompt, observations as a user's."""

QWEN_3 = """\
{%- set ns = namespace(last=-1) %}
{%- for m in messages %}
{%- if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}
{%- endfor %}
""" + CHATML.replace(
    "THOUGHT",
    "{% if m.role == 'assistant' and loop.index0 > ns.last %}<think>\n"
    "{{ m.reasoning_content or '' }}\n</think>\n\n{% endif %}",
)
"""Thoughts of turns before the last user message are left out, empty ones are put in."""

LLAMA_3 = """\
{{- bos_token }}<|start_header_id|>system<|end_header_id|>

Today Date: {{ date_string or strftime_now('%d %b %Y') }}

{{ messages[0].content | trim }}<|eot_id|>
{%- for m in messages[1:] %}
{%- if m.tool_calls %}
{%- if m.tool_calls | length != 1 %}{{ raise_exception('single tool-calls only') }}{% endif %}
{%- set call = m.tool_calls[0].function %}<|start_header_id|>assistant<|end_header_id|>

{"name": "{{ call.name }}", "parameters": {{ call.arguments | tojson }}}<|eot_id|>
{%- elif m.role == 'tool' %}<|start_header_id|>ipython<|end_header_id|>

{{ {'output': m.content} | tojson }}<|eot_id|>
{%- else %}<|start_header_id|>{{ m.role }}<|end_header_id|>

{% if loop.first and tools %}{{ tools | tojson }}{% endif %}{{ m.content | trim }}<|eot_id|>
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}"""
"""Shows the day, leaves out text next to calls, and renders observations as JSON."""

MISTRAL = """\
{%- set users = messages | selectattr('role', 'equalto', 'user') | list %}{{ bos_token }}
{%- for m in messages[1:] %}
{%- if m.role == 'user' %}
{%- if tools and m == users[-1] %}[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]
{%- endif %}
{%- if loop.last %}[INST] {{ messages[0].content }}

{{ m.content }}[/INST]{% else %}[INST] {{ m.content }}[/INST]{% endif %}
{%- elif m.tool_calls %}[TOOL_CALLS] [
{%- for call in m.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception('ids of length 9!') }}{% endif %}
{{- call.function | tojson }}, "id": "{{ call.id }}"{% endfor %}]{{ eos_token }}
{%- elif m.role == 'tool' %}[TOOL_RESULTS] {"content": {{ m.content }}}[/TOOL_RESULTS]
{%- else %} {{ m.content | trim }}{{ eos_token }}
{%- endif %}
{%- endfor %}"""
"""The system prompt stands in the last message, if that is a user's; ids have nine characters."""

DEEPSEEK = """\
{{- bos_token }}{{ messages[0].content }}
{%- for m in messages[1:] %}
{%- if m.role == 'user' %}<｜User｜>{{ m.content }}
{%- elif m.role == 'tool' %}<｜tool▁output▁begin｜>{{ m.content }}<｜tool▁output▁end｜>
{%- else %}
{%- if messages[loop.index0].role == 'user' %}<｜Assistant｜></think>{% endif %}{{ m.content }}
{%- for call in m.tool_calls or [] %}{{ '<｜tool▁calls▁begin｜>' + call.function.name
 + '<｜tool▁sep｜>' + call.function.arguments + '<｜tool▁calls▁end｜>' }}{% endfor %}{{ eos_token }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt and messages[-1].role == 'user' %}<｜Assistant｜></think>{% endif %}"""
"""Arguments are text; behind an observation nothing asks for an answer."""

THINKING = DEEPSEEK.replace(
    "{%- if add_generation_prompt and messages[-1].role == 'user' %}<｜Assistant｜></think>",
    "{%- if add_generation_prompt and messages[-1].role == 'user' %}<｜Assistant｜><think>\n",
)
"""As DeepSeek-R1's: an answer is asked for behind <think>, which no answer is rendered with."""

ENDS_LATE = """\
{%- for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% if not loop.last or add_generation_prompt %}<|im_end|>
{% endif %}{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""The last turn is ended only where something follows it."""

ENDLESS = """\
{%- for m in messages %}{{ m.role }}: {{ m.content }}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"""
"""Nothing ends a turn."""

OURS = """\
{%- for message in messages -%}<|{{ message.role }}|>{{ message.content }}<|end|>{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"""
"""As `forager base` makes it."""

SPECIALS = {
    "</s>": "</s>",
    "qwen": "<|im_end|>",
    "llama": "<|eot_id|>",
    "deepseek": "<｜end▁of▁sentence｜>",
    "ours": "<|end|>",
}
_MORE = [
    *("<|im_start|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<s>"),
    *("[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
    *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "<｜User｜>", "<｜Assistant｜>", "<｜tool▁sep｜>"),
    *("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁output▁begin｜>"),
    *("<｜tool▁output▁end｜>", "<|system|>", "<|user|>", "<|assistant|>"),
]


def make_tokenizer(
    path: Path, template: str, end: str = "<|im_end|>", *, blank: bool = False
) -> Path:
    """A byte-level BPE tokenizer that has merged across blanks and newlines.

    With `blank`, a word-level one that puts a blank before each text, like SentencePiece.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    specials = sorted({*_MORE, *SPECIALS.values()})
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if blank:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
        alphabet = [chr(code) for code in range(32, 127)] + list("\n\t\r▁")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    lines = Path(__file__).read_text().splitlines(keepends=True)
    tokenizer.train_from_iterator(lines, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|begin_of_text|>",
        eos_token=end,
        additional_special_tokens=[token for token in specials if token != end],
    )
    fast.chat_template = template
    fast.save_pretrained(path)
    return path
