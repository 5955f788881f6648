//! Where the choices of a schedule come from, and a record of them.

use rand::{
    Rng, SeedableRng,
    distr::{Distribution, weighted::WeightedIndex},
    rngs::SmallRng,
};

/// What one poll of the transport does. The first is what a fair transport does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    All,
    Block,
    One,
    /// The end for a read, `Ok(0)` for a write.
    End,
    Reset,
}

const OUTCOMES: [Outcome; 5] = [
    Outcome::All,
    Outcome::Block,
    Outcome::One,
    Outcome::End,
    Outcome::Reset,
];

/// Who makes the choices.
pub enum Choosing {
    /// These, and then the first of all that there are.
    Fixed(Vec<u8>),
    /// So many at random, and then the first.
    Random { seed: u64, choices: usize },
}

struct Random {
    rng: SmallRng,
    left: usize,
    /// The weights of `Block` and `One`: some transports are slower than others.
    block: u32,
    one: u32,
}

pub struct Choices {
    fixed: std::vec::IntoIter<u8>,
    random: Option<Random>,
    /// What was chosen.
    pub made: Vec<u8>,
    /// Of how many.
    pub of: Vec<u8>,
    /// No peer was cut off.
    pub fair: bool,
    /// How often a poll was blocked for no reason, or a call was dropped or repeated.
    pub detours: usize,
}

impl Choices {
    pub fn new(choosing: Choosing) -> Self {
        let (fixed, random) = match choosing {
            Choosing::Fixed(fixed) => (fixed, None),
            Choosing::Random { seed, choices } => {
                let mut rng = SmallRng::seed_from_u64(seed);
                let mut weight = || [5, 50, 5000][rng.random_range(0..3)];
                let (block, one) = (weight(), weight());
                let random = Random {
                    rng,
                    left: choices,
                    block,
                    one,
                };
                (Vec::new(), Some(random))
            }
        };
        Self {
            fixed: fixed.into_iter(),
            random,
            made: Vec::new(),
            of: Vec::new(),
            fair: true,
            detours: 0,
        }
    }

    /// Returns `true` if the points at which choices were made are of interest.
    pub fn can_be_explored(&self) -> bool {
        self.random.is_none()
    }

    /// Chooses one of the first `of`; at random each with its weight.
    fn choose_weighted(&mut self, of: u8, weight: impl Fn(&Random, u8) -> u32) -> u8 {
        if of < 2 {
            return 0;
        }
        let chosen = match &mut self.random {
            Some(random @ Random { left: 1.., .. }) => {
                random.left -= 1;
                let weights: Vec<_> = (0..of).map(|i| weight(random, i)).collect();
                let chosen = WeightedIndex::new(weights).unwrap().sample(&mut random.rng);
                u8::try_from(chosen).unwrap()
            }
            _ => self.fixed.next().map_or(0, |choice| choice % of),
        };
        self.made.push(chosen);
        self.of.push(of);
        chosen
    }

    pub fn choose(&mut self, of: usize) -> usize {
        self.choose_weighted(u8::try_from(of).unwrap(), |_, _| 1)
            .into()
    }

    /// Something that a caller may do, but seldom does.
    pub fn seldom(&mut self) -> bool {
        let yes = self.choose_weighted(2, |_, i| [9, 1][usize::from(i)]) == 1;
        self.detours += usize::from(yes);
        yes
    }

    /// What a poll does that could do more.
    pub fn outcome(&mut self, of: &[Outcome]) -> Outcome {
        let weight = |random: &Random, i: u8| match of[usize::from(i)] {
            Outcome::All => 50,
            Outcome::Block => random.block,
            Outcome::One => random.one,
            Outcome::End | Outcome::Reset => 1,
        };
        let outcome =
            of[usize::from(self.choose_weighted(u8::try_from(of.len()).unwrap(), weight))];
        match outcome {
            Outcome::All | Outcome::One => {}
            Outcome::Block => self.detours += 1,
            Outcome::End | Outcome::Reset => self.fair = false,
        }
        outcome
    }
}

impl Outcome {
    pub const ANY: &[Self] = &OUTCOMES;
    pub const FLUSH: &[Self] = &[Self::All, Self::Block, Self::Reset];
    /// Of a read for which there is nothing.
    pub const NOTHING: &[Self] = &[Self::Block, Self::End, Self::Reset];
}
