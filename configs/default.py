"""Every key with its default, for your own photos. This is the base of all other configs, not an experiment itself.

Command:
    tinytl train --config=default --config.data.name=photos/ --workdir=runs/photos

Any key can be set on the command line: `--config.training.learning_rate=1e-3`. An unknown key is an error.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Returns the default configuration, which has all keys that exist."""
    config = ConfigDict()

    # Update scheme: last, norm+last, full, tinytl-b, tinytl-l, tinytl-lb, sparse-update, sparse-update-l, sparse-lora,
    # lora or lora-b.
    config.scheme = "sparse-update"
    # Places ("stem", "block_0", ..., "head") whose biases or lite residuals are trained; () for all places, or the late
    # ones for the sparse schemes. See `tinytl plan`.
    config.biases = ()
    # sparse-update, -l: places whose wide kernel is trained; () for late blocks. "block_14:1/4" trains a quarter of its
    # output channels (1, 1/2, 1/4 or 1/8), "block_14:8bit" keeps its input in 8 bits, "block_14:1/4:8bit" does both.
    config.kernels = ()
    config.lite_residuals = ()
    config.branches = ()  # places whose branches are trained, for any kind of branch, for example lora

    config.backbone = ConfigDict()
    # Or another network of `tinytl networks`; "keras:NAME" from keras.applications; "hub:PRESET" from keras-hub;
    # "file:my.keras"; or "module:function" for a function that returns your own Keras model.
    config.backbone.name = "mobilenet_v2"
    config.backbone.width = 1.0
    config.backbone.resolution = 128  # pixels
    config.backbone.weights = "imagenet"  # or the path of a .h5 or .pth file, or "" for random weights
    # Preprocessing for your own model, if it is not part of the model: "module:function" for a function of pixels from
    # 0 to 255, or "raw" for none.
    config.backbone.preprocess_input = ""
    # Initial weights of lite residuals: a file from `tinytl pretrain`; "pretrained" for those of the package; "" for
    # new ones; or "auto": "pretrained" if they were trained with the same network and weights, otherwise "".
    config.backbone.branch_weights = "auto"
    config.backbone.branch_final_norm = False  # add a norm at the end of lite residuals, as in the paper
    config.backbone.branch_weight_standardization = False  # standardize their kernels; needs branch_final_norm
    config.backbone.lora_rank = 0  # rank of LoRA branches; 0 for the scheme's: 4, or 16 for sparse-lora
    config.backbone.kernel_centroids = 0  # number of values that each frozen kernel is rounded to (paper: 256); 0: off
    # Places whose pooled outputs the classifier reads in addition to the last features; ("late",) for the late ones.
    config.backbone.feature_places = ()
    config.backbone.dropout = 0.2

    config.data = ConfigDict()
    config.data.name = ""  # required: a folder, a packed .npz, tfds:NAME, digits or digits-shifted
    config.data.split_seed = 0  # selects the test images of a folder without a test split; 0 for other data
    # How these test images are selected: by content. "" marks runs of older versions, whose rule no longer exists.
    config.data.split = "content"
    config.data.train_images = 0  # limit on the number of training images, spread over the classes; 0 for all
    config.data.test_images = 0
    config.data.skip_broken = False  # skip images that cannot be read
    config.data.strict = False  # fail if test images are also training images, instead of a warning
    config.data.central_fraction = 0.875  # central fraction of each image's side to evaluate; 1.0 for all
    config.data.threads = 2  # threads that decode training images; use more if steps wait for images, see log.jsonl
    config.data.data_dir = ""  # folder of TensorFlow Datasets; "" for its default
    config.data.download = True  # whether TensorFlow Datasets may download data

    config.augmentation = ConfigDict()
    config.augmentation.crop = True
    config.augmentation.crop_area = (0.22, 1.0)
    config.augmentation.flip = True
    config.augmentation.color = "none"  # or "tf", "torch"

    config.training = ConfigDict()
    config.training.continue_from = ""  # folder of a finished run whose network to train further; "" for none
    config.training.epochs = 10
    config.training.batch_size = 8
    config.training.optimizer = "adam"  # or sgd, momentum
    config.training.learning_rate = 0.0  # of the first step; 0 for the scheme's, see tinytl_tf.networks.schemes
    # (regular expression, factor) pairs that multiply the rate of matching variables: (("_lite_residual/", 0.1),).
    config.training.rate_factors = ()
    config.training.schedule = "cosine"  # or constant
    config.training.warmup_steps = 0  # steps with a linearly rising rate, before the schedule
    config.training.label_smoothing = 0.1
    config.training.weight_decay = 0.0  # each step shrinks kernels by this times its rate
    config.training.clip_norm = 0.0  # maximum norm of a step's gradient; 0 for no limit
    # Precision of activations: or "mixed_bfloat16", or on a GPU "mixed_float16", which take half the memory.
    config.training.precision = "float32"
    # Fraction of the loss that is the distance from the features of the frozen network, which gets the images at
    # teacher_scale times the resolution. 1 for images without labels; 0 and 0 for no distillation.
    config.training.distillation = 0.0
    config.training.teacher_scale = 0
    config.training.saves_per_epoch = 1  # use more if an interruption must not cost an epoch
    config.training.seed = 0
    # Compute the features from the frozen first places only once, not in each epoch; needs crop and color to be off.
    config.training.cache_features = False
    return config.lock()
