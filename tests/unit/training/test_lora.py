import pytest
import torch
import transformers as tf

from helpers.settings import TRAINING
from ingot.errors import InputError
from ingot.training import lora

SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
MODELS = {
    "gemma2": lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**SMALL, num_key_value_heads=1, head_dim=16)),
    "gpt2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=64, n_embd=32, n_layer=1, n_head=2)),
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**SMALL)),
    "mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**SMALL, num_key_value_heads=1)),
    "phi3": lambda: tf.Phi3ForCausalLM(tf.Phi3Config(**SMALL, num_key_value_heads=1, pad_token_id=0)),
    "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**SMALL, num_key_value_heads=1)),
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_linear_layers_of_every_architecture_take_a_lora_and_its_head_does_not(kind):
    from peft import get_peft_model

    model = MODELS[kind]()
    linear = {name for name in lora.matrix_modules(model) if name != "lm_head"}
    adapted = get_peft_model(model, lora.lora_config(model, TRAINING))
    touched = {
        name.split(".lora_A")[0].rpartition(".")[2] for name, _ in adapted.named_parameters() if "lora_A" in name
    }
    assert touched == linear


def test_conv1d_is_recognised_as_transposed():
    modules = lora.matrix_modules(MODELS["gpt2"]())
    assert modules["c_attn"] == (32, 96, True)
    assert lora.lora_config(MODELS["gpt2"](), TRAINING).fan_in_fan_out is True
    assert lora.matrix_modules(MODELS["llama"]())["up_proj"] == (32, 64, False)


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
