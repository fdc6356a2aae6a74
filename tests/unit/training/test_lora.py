import pytest
import torch
import transformers as tf

from helpers.settings import TRAINING
from ingot.errors import InputError
from ingot.training import lora

SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
MODELS = {
    "bert": lambda: tf.BertModel(tf.BertConfig(**SMALL)),
    "roberta": lambda: tf.RobertaModel(tf.RobertaConfig(**SMALL)),
    "distilbert": lambda: tf.DistilBertModel(
        tf.DistilBertConfig(vocab_size=64, dim=32, n_layers=1, n_heads=2, hidden_dim=64)
    ),
    "gpt2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=64, n_embd=32, n_layer=1, n_head=2)),
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**SMALL)),
    "mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**SMALL, num_key_value_heads=1)),
    "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**SMALL, num_key_value_heads=1)),
    "deberta": lambda: tf.DebertaModel(tf.DebertaConfig(**SMALL)),
    "deberta-v2": lambda: tf.DebertaV2Model(tf.DebertaV2Config(**SMALL)),
    "t5": lambda: tf.T5Model(tf.T5Config(vocab_size=64, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)),
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_usual_modules_of_every_architecture_exist_and_take_a_lora(kind):
    from peft import get_peft_model

    model = MODELS[kind]()
    config = lora.lora_config(model, TRAINING)
    config.task_type = None
    adapted = get_peft_model(model, config)
    touched = {
        name.split(".lora_A")[0].rpartition(".")[2] for name, _ in adapted.named_parameters() if "lora_A" in name
    }
    assert touched == set(lora.TARGET_MODULES[kind])


def test_conv1d_is_recognised_as_transposed():
    modules = lora.matrix_modules(MODELS["gpt2"]())
    assert modules["c_attn"] == (32, 96, True)
    assert lora.lora_config(MODELS["gpt2"](), TRAINING).fan_in_fan_out is True
    assert lora.matrix_modules(MODELS["llama"]())["up_proj"] == (32, 64, False)


def test_an_unknown_architecture_lists_the_modules_that_exist():
    model = MODELS["llama"]()
    model.config.model_type = "novel"
    with pytest.raises(InputError, match=r"'novel'.*'down_proj'.*'q_proj'"):
        lora.target_modules(model, None)


def test_a_wrong_module_name_lists_the_modules_that_exist():
    with pytest.raises(InputError, match=r"\['query'\] do not exist in a 'llama' model; it has: .*'q_proj'"):
        lora.target_modules(MODELS["llama"](), ["q_proj", "query"])


@pytest.fixture
def adapted():
    from peft import get_peft_model

    model = MODELS["llama"]()
    return get_peft_model(model, lora.lora_config(model, TRAINING))


def test_the_counts_of_a_sound_adapter(adapted):
    counts = lora.check_trainable(adapted, (0.001, 0.9))
    assert counts["trainable"] == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def test_a_share_outside_its_range_is_refused(adapted):
    with pytest.raises(InputError, match=r"outside `trainable_share` \(0.10% to 3.00%\)"):
        lora.check_trainable(adapted, (0.001, 0.03))


def test_half_precision_weights_are_refused_and_put_back(adapted):
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.bfloat16()
    with pytest.raises(InputError, match="are not float32"):
        lora.check_trainable(adapted, (0.0, 1.0))
    lora.keep_in_float32(adapted)
    lora.check_trainable(adapted, (0.0, 1.0))


def test_nothing_to_train_is_refused(adapted):
    adapted.requires_grad_(False)
    with pytest.raises(InputError, match="nothing to train"):
        lora.check_trainable(adapted, (0.0, 1.0))


def test_weights_on_two_devices_are_refused():
    model = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, device="meta")])
    with pytest.raises(InputError, match="several devices: .*cpu.*meta"):
        lora.check_trainable(model, (0.0, 1.0))


def test_an_optimizer_that_lacks_a_weight_is_refused(adapted):
    trainable = [p for p in adapted.parameters() if p.requires_grad]
    lora.check_optimizer(adapted.parameters(), torch.optim.AdamW(trainable))
    with pytest.raises(InputError, match="some would not learn"):
        lora.check_optimizer(adapted.parameters(), torch.optim.AdamW(trainable[1:]))


def test_a_quantised_weight_counts_as_what_it_stands_for():
    import bitsandbytes as bnb

    layer = bnb.nn.Linear4bit(64, 32, bias=False, quant_type="nf4").to("cpu")
    layer.weight = bnb.nn.Params4bit(torch.randn(32, 64), requires_grad=False, quant_type="nf4").to("cpu")
    assert lora.original_size(layer.weight) in (32 * 64, layer.weight.numel())
