"""Every key with its default, for photos of your own; the base of the other configs, and no experiment itself.

Command:
    tinytl train --config=default --config.data.name=photos/ --workdir=runs/photos

Any key can be set on the command line: `--config.training.learning_rate=1e-3`. An unknown key is an error.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Returns the default configuration; its keys are the only ones there are."""
    config = ConfigDict()

    # One of tinytl_tf.networks.schemes.SCHEMES: last, norm+last, full, tinytl-b, tinytl-l, tinytl-lb, lora, lora-b.
    config.scheme = "tinytl-lb"
    # Where it trains biases ("stem", "block_0", ..., "head") and lite residuals, see `tinytl plan`; () is everywhere.
    config.biases = ()
    config.lite_residuals = ()
    config.branches = ()  # the same for the branches of any scheme, lora for example

    config.backbone = ConfigDict()
    # Or another of `tinytl networks`: "keras:NAME" of keras.applications, "hub:PRESET" of keras-hub, "file:my.keras",
    # or "module:function", which returns a Keras model of your own.
    config.backbone.name = "mobilenet_v2"
    config.backbone.width = 1.0
    config.backbone.resolution = 128  # pixels
    config.backbone.weights = "imagenet"  # or the path of a .h5 or .pth file, or "" for random ones
    # Preprocessing of pixels of 0 to 255 before a model of your own, if it is not part of it: "module:function", or
    # "raw" for none.
    config.backbone.preprocess_input = ""
    # Initial lite residuals: "auto" is "pretrained", the package's own, if network and weights are the same as in
    # their training, else "", fresh ones; or a file of `tinytl pretrain`.
    config.backbone.branch_weights = "auto"
    config.backbone.branch_final_norm = False  # a norm at the end of lite residuals, as in the paper
    config.backbone.branch_weight_standardization = False  # of their kernels, as in the paper; with branch_final_norm
    config.backbone.lora_rank = 4  # of the schemes lora and lora-b
    config.backbone.kernel_centroids = 0  # values that each frozen kernel is rounded to, the paper's 256; 0 for any
    config.backbone.dropout = 0.2

    config.data = ConfigDict()
    config.data.name = ""  # to be set: a folder, a packed .npz, tfds:NAME, digits, digits-shifted
    config.data.split_seed = 0  # of a folder without a test split; 0 for other data
    # How its test images are chosen: by their content. "" is the rule of older versions, which nothing follows now.
    config.data.split = "content"
    config.data.train_images = 0  # only so many, spread over the classes; 0 for all
    config.data.test_images = 0
    config.data.skip_broken = False  # leave out images that cannot be read
    config.data.strict = False  # refuse test images that are training images too, instead of a warning
    config.data.central_fraction = 0.875  # part of an image's side that is evaluated; 1.0 for all
    config.data.threads = 2  # that decode training images; use more if steps wait for images, see log.jsonl
    config.data.data_dir = ""  # of TensorFlow Datasets; "" for its default
    config.data.download = True  # whether TensorFlow Datasets may

    config.augmentation = ConfigDict()
    config.augmentation.crop = True
    config.augmentation.crop_area = (0.22, 1.0)
    config.augmentation.flip = True
    config.augmentation.color = "none"  # or "tf", "torch"

    config.training = ConfigDict()
    config.training.continue_from = ""  # folder of a finished run, whose network is trained further; "" for none
    config.training.epochs = 10
    config.training.batch_size = 8
    config.training.optimizer = "adam"  # or sgd, momentum
    config.training.learning_rate = 0.0  # of the first step; 0 for the scheme's, see tinytl_tf.networks.schemes
    # (regular expression, factor): multiplies the rate of variables; (("_lite_residual/", 0.1),) is a tenth.
    config.training.rate_factors = ()
    config.training.schedule = "cosine"  # or constant
    config.training.warmup_steps = 0  # of a rate that rises in a line, before the schedule
    config.training.label_smoothing = 0.1
    config.training.weight_decay = 0.0  # a step shrinks kernels by this times its rate
    config.training.clip_norm = 0.0  # longest gradient of a step; 0 for any
    # Of activations: or "mixed_bfloat16", with a GPU also "mixed_float16", which take half the memory.
    config.training.precision = "float32"
    # Share of the loss that is the distance from the features of the frozen network, which sees the images at
    # teacher_scale times the resolution; 1 for images without labels. 0 and 0 for none.
    config.training.distillation = 0.0
    config.training.teacher_scale = 0
    config.training.saves_per_epoch = 1  # more where a kill must not cost an epoch
    config.training.seed = 0
    # Compute features from the frozen first places once, not once an epoch; without crop and color.
    config.training.cache_features = False
    return config.lock()
