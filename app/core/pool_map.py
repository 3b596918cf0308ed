"""The pool as a model sees it, spread into a plane for people to look at."""

import numpy as np
import numpy.typing as npt

# Fewer points have no neighbours to be near to.
_FEWEST = 3
# Somebody waits for it: the map of some hundred points hardly changes after these.
_ITERATIONS = 500


def spread(features: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    """t-SNE (van der Maaten and Hinton 2008) of features (n, F) scaled to deviation 1: (n, 2).

    Too few points give none: (0, 2).
    """
    count = len(features)
    if count < _FEWEST:
        return np.zeros((0, 2), dtype=np.float32)
    # Loaded here: a server needs it in the process that draws alone.
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    scale = features.std(axis=0)
    scaled = features / np.where(scale > 0, scale, 1)
    drawn = TSNE(
        perplexity=min(30.0, max(1.0, (count - 1) / 3)),
        init="random" if scaled.shape[1] < 2 else "pca",
        max_iter=_ITERATIONS,
        random_state=seed % 2**31,
    )
    # More threads wait for each other where others compute, and sum up in another order.
    with threadpool_limits(1):
        places = drawn.fit_transform(scaled)
    return np.asarray(places, dtype=np.float32)
