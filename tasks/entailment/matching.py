"""Models that match two texts: decomposable attention (Parikh 2016) and ESIM (Chen 2017).

Neither reads the hypothesis word by word. Both align the two texts softly, by one matrix of
energies that is normalised both ways, compare every word with what it is aligned to, and aggregate.
The energies are any registered score's, the weights any normaliser's: those of the cell's `global`
attention. In the papers the score is `dot`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.attention.attention import ScoreOptions
from bench.attention.base import WeightsKind, zero_padding
from bench.attention.registries import normalisers, scores
from bench.models.base import Encoder, ModelConfig
from bench.models.layers import Reading, dropout, linear, masked_mean
from bench.models.recurrent import RecurrentEncoder
from tasks.data.batching import LabelledBatch
from tasks.settings import Settings
from tasks.training.classifier import ClassificationModule
from tasks.training.module import TrainingModule

#: The name among the parts of a trace of the weights of premise words over hypothesis words.
BY_PREMISE = "premise to hypothesis"


@dataclass(frozen=True, kw_only=True)
class MatchedReading(Reading):
    """Two texts compared with each other: `states` and `contexts` are B,T,H of the hypothesis, each
    word compared, and what it is aligned to.

    Attributes:
        source_states: B,S,H, the premise's words (and its end) compared.
        source_mask: B,S.
    """

    source_states: Tensor
    source_mask: Tensor


class SoftAlignment(nn.Module):
    """Weights both ways of one matrix of energies e_ts (Parikh 2016, equation 2; Chen 2017,
    equations 11 to 13): sum_s softmax_s(e_ts) a_s and sum_t softmax_t(e_ts) b_t.

    Args:
        size: H, of the vectors that are compared.
        score: name of the score; hypothesis words are its queries, premise words its keys.
        options: options of the score, and the name of the normaliser.
    """

    def __init__(self, size: int, score: str, options: ScoreOptions) -> None:
        super().__init__()
        self.score = scores.get(score).build(size, size, 1, options)
        self.normaliser = normalisers.get(options.normaliser).for_heads(1)

    def forward(
        self, hypothesis: Tensor, premise: Tensor, real: Tensor, source_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Weights B,T,S of each hypothesis word over the premise, and B,S,T of each premise word
        over the hypothesis.

        Args:
            hypothesis, premise: B,T,H and B,S,H, what is compared.
            real, source_mask: B,T and B,S, their real positions.
        """
        energies = self.score(hypothesis, self.score.project_keys(premise))  # B,1,T,S
        over_premise = self.normaliser(energies, source_mask[:, None, None])
        over_hypothesis = self.normaliser(energies.transpose(2, 3), real[:, None, None])
        # rows of padding are weights of nothing
        return (
            over_premise[:, 0].masked_fill(~real[..., None], 0.0),
            over_hypothesis[:, 0].masked_fill(~source_mask[..., None], 0.0),
        )


class MatchingModule(ClassificationModule):
    """Base of the models: embed, align, compare, aggregate. Subclasses say how words are encoded,
    compared and aggregated.

    Args:
        embedding: of both texts, V,E.
        alignment: of what `encode` returns.
        classes: K.
    """

    def __init__(
        self, embedding: nn.Module, alignment: SoftAlignment, classes: int, settings: Settings
    ) -> None:
        TrainingModule.__init__(self, settings, groups=classes)
        self.embedding, self.alignment = embedding, alignment

    @property
    def weights_kind(self) -> WeightsKind:
        return self.alignment.normaliser.weights_kind

    @abstractmethod
    def encode(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """From embeddings B,N,E to the vectors B,N,H that are compared, and those B,N,H that
        energies are made of."""

    @abstractmethod
    def compare(self, own: Tensor, found: Tensor, mask: Tensor) -> Tensor:
        """Compare vectors B,N,H with what they are aligned to, B,N,H: B,N,H."""

    @abstractmethod
    def aggregate(self, premise: Tensor, hypothesis: Tensor, reading: MatchedReading) -> Tensor:
        """Logits B,K of the compared words B,S,H and B,T,H."""

    def read(self, batch: LabelledBatch, *, need_weights: bool = False) -> Reading:
        """Align and compare the texts of a batch; the premise's end takes part, as a word for
        those without a counterpart (Parikh's NULL)."""
        steps = batch.text != 0  # B,T+1, words and end
        mask, source_mask = steps[:, 1:], batch.source_mask
        b, asked = self._encoded(batch.text[:, :-1], mask)  # B,T,H
        a, keys = self._encoded(batch.source, source_mask)  # B,S,H
        weights, back = self.alignment(asked, keys, mask, source_mask)  # B,T,S and B,S,T
        alpha = weights.to(a.dtype) @ a  # B,T,H, the premise for each hypothesis word
        beta = back.to(b.dtype) @ b  # B,S,H, the hypothesis for each premise word
        return MatchedReading(
            states=self.compare(b, alpha, mask),
            contexts=alpha,
            mask=mask,
            steps=steps,
            weights=weights,
            parts={BY_PREMISE: back.transpose(1, 2)},
            source_states=self.compare(a, beta, source_mask),
            source_mask=source_mask,
        )

    def logits(self, reading: Reading, batch: LabelledBatch) -> Tensor:
        assert isinstance(reading, MatchedReading)
        return self.aggregate(reading.source_states, reading.states, reading)

    def _encoded(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        words = self._drop(self.embedding(tokens))
        compared, scored = self.encode(words, mask)
        return zero_padding(compared, mask), zero_padding(scored, mask)

    def _drop(self, tensor: Tensor) -> Tensor:
        return dropout(tensor, self.settings.dropout, self.training)


class FeedForward(nn.Module):
    """Two layers with ReLU, dropout before each (Parikh 2016, section 3)."""

    def __init__(self, inputs: int, size: int, probability: float) -> None:
        super().__init__()
        self.first, self.second = linear(inputs, size), linear(size, size)
        self.probability = probability

    def forward(self, vectors: Tensor) -> Tensor:
        hidden = torch.relu(self.first(dropout(vectors, self.probability, self.training)))
        return torch.relu(self.second(dropout(hidden, self.probability, self.training)))


class DecomposableModule(MatchingModule):
    """Attend, compare, aggregate (Parikh 2016, sections 3.1 to 3.3), without the intra-sentence
    attention of section 3.4: words know nothing of their order.

    e_ts = score(F(b_t), F(a_s)); v_t = G([b_t; alpha_t]), v_s = G([a_s; beta_s]);
    y = H([sum_s v_s; sum_t v_t]). Embeddings are projected once to the size H, as in section 4.
    """

    def __init__(
        self, embedding: nn.Module, alignment: SoftAlignment, classes: int, settings: Settings
    ) -> None:
        super().__init__(embedding, alignment, classes, settings)
        size = settings.hidden_dim
        self.project = linear(settings.embedding_dim, size, bias=False)
        self.attend = FeedForward(size, size, settings.dropout)  # F
        self.compare_words = FeedForward(2 * size, size, settings.dropout)  # G
        self.join = FeedForward(2 * size, size, settings.dropout)  # H
        self.classify = linear(size, classes)

    def encode(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        vectors = self.project(words)  # B,N,H
        return vectors, self.attend(vectors)

    def compare(self, own: Tensor, found: Tensor, mask: Tensor) -> Tensor:
        return zero_padding(self.compare_words(torch.cat((own, found), dim=2)), mask)

    def aggregate(self, premise: Tensor, hypothesis: Tensor, reading: MatchedReading) -> Tensor:
        sums = torch.cat((premise.sum(dim=1), hypothesis.sum(dim=1)), dim=1)  # B,2H
        return self.classify(self.join(sums))


class EsimModule(MatchingModule):
    """The sequential model of Chen 2017: input encoding (section 3.1), local inference with the
    enhancement [a; a'; a - a'; a * a'] (3.2), composition and pooling (3.3).

    The encoders are bidirectional layers of the settings' `rnn_type`; the paper's are LSTMs. The
    vectors of both texts pass the same networks.
    """

    def __init__(
        self, embedding: nn.Module, alignment: SoftAlignment, classes: int, settings: Settings
    ) -> None:
        super().__init__(embedding, alignment, classes, settings)
        size = settings.hidden_dim
        config = ModelConfig(hidden_dim=size, rnn_type=settings.rnn_type, dropout=settings.dropout)
        self.encoder: Encoder = RecurrentEncoder(settings.embedding_dim, config)
        self.enhance = linear(4 * size, size)  # F, equations 20 and 21
        self.compose = RecurrentEncoder(size, config)
        self.join = linear(4 * size, size)
        self.classify = linear(size, classes)

    def encode(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        states = self.encoder(words, mask).states  # B,N,H
        return states, states

    def compare(self, own: Tensor, found: Tensor, mask: Tensor) -> Tensor:
        enhanced = torch.cat((own, found, own - found, own * found), dim=2)  # B,N,4H
        vectors = torch.relu(self.enhance(self._drop(enhanced)))
        return self.compose(self._drop(vectors), mask).states

    def aggregate(self, premise: Tensor, hypothesis: Tensor, reading: MatchedReading) -> Tensor:
        sides = ((premise, reading.source_mask), (hypothesis, reading.mask))
        # average and maximum of each side, equations 18 and 19: B,4H
        pooled = [part for side in sides for part in (masked_mean(*side), masked_max(*side))]
        joined = torch.tanh(self.join(self._drop(torch.cat(pooled, dim=1))))
        return self.classify(self._drop(joined))


def masked_max(states: Tensor, mask: Tensor) -> Tensor:
    """Maximum B,H of states B,N,H over the real positions of the mask B,N."""
    return states.masked_fill(~mask[..., None], float("-inf")).amax(dim=1)
