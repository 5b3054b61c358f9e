//! Faults of worlds in which agents talk: who does not hear whom, and an API server that is away for long.

use super::census::Cause;
use super::outage::{Manner, Outage};
use super::post::Currents;
use super::world::World;
use super::{Instant, MILLI, SECOND};

impl World {
    pub(super) fn part(&mut self, node: usize) {
        match self.rng.below(10) {
            0..=2 => self.cut_from_peers(node),
            3 => self.cut_from_all(node),
            4..=5 => self.cut_pair(node),
            6..=7 => self.cut_one_way(node),
            8 => self.change_currents(),
            _ => self.lose_api(),
        }
    }

    fn for_a_while(&mut self) -> (Instant, u64) {
        let span = self.rng.between(MILLI, 10 * SECOND);
        (self.now + span, span / MILLI)
    }

    fn cut_from_peers(&mut self, node: usize) {
        let (until, span) = self.for_a_while();
        self.silence.cut(node, until);
        self.blame(node, Cause::CutFromPeers);
        self.say(|| format!("n{node} cut from its peers for {span} ms"));
    }

    fn cut_from_all(&mut self, node: usize) {
        let (until, span) = self.for_a_while();
        self.silence.cut(node, until);
        self.nodes[node].cut_until = until;
        self.blame(node, Cause::CutFromApi);
        self.say(|| format!("n{node} cut from peers and API for {span} ms"));
    }

    fn cut_pair(&mut self, node: usize) {
        let ((until, span), other) = (self.for_a_while(), self.rng.below(self.nodes.len()));
        self.silence.way(node, other, until);
        self.silence.way(other, node, until);
        self.blame(node, Cause::CutFromPeers);
        self.blame(other, Cause::CutFromPeers);
        self.say(|| format!("n{node} and n{other} cut from each other for {span} ms"));
    }

    fn cut_one_way(&mut self, node: usize) {
        let ((until, span), other) = (self.for_a_while(), self.rng.below(self.nodes.len()));
        self.blame(node, Cause::CutFromPeers);
        match self.rng.below(3) {
            0 => self.silence.way(node, other, until),
            1 => self.silence.mute(node, until),
            _ => self.silence.deafen(node, until),
        }
        self.say(|| format!("n{node} (or only n{other}) one way for {span} ms"));
    }

    fn change_currents(&mut self) {
        let bad = self.rng.below(3) > 0;
        let mut some = |most| if bad { self.rng.between(0, most) } else { 0 };
        let currents = Currents { lost: some(300), doubled: some(200), late: some(200) };
        self.currents = currents;
        self.say(|| {
            format!(
                "messages: per mille lost {} doubled {} late {}",
                currents.lost, currents.doubled, currents.late
            )
        });
    }

    fn lose_api(&mut self) {
        let most = if self.rng.chance(300) { 60 * SECOND } else { 10 * SECOND };
        let span = self.rng.between(100 * MILLI, most);
        let manner = [Manner::Down, Manner::Lost, Manner::Hung][self.rng.below(3)];
        let until = self.now + span;
        self.go_away(Outage { until, manner });
        self.say(|| format!("API server {manner:?} for {} ms", span / MILLI));
    }

    pub(super) fn reunite(&mut self) {
        self.silence = super::post::Silence::default();
        self.currents = Currents::default();
        self.outage.until = self.outage.until.min(self.now);
    }
}
